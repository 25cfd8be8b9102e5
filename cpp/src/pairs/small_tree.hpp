// Trees of at most 64 trajectories, as agents' runs mostly are: a set of trajectories is a word.
//
//   bit                  0    1    2        trajectories by ascending return
//   trajectory           3    0    2
//   beaten by it        000  001  011       bits written from 2 down to 0
//
//   at a divergence     a: 110   b: 001     each action's set
//   bit 2 beats         011 & 001           of the other actions: one pair, (2, 3)
//
// Sets come in order of return by themselves, so nothing is sorted, copied or listed: two to
// three times as fast as the general way for such trees.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pairs/return_order.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/pairs/pair_stream.hpp"

namespace w2stree {

class SmallTree {
 public:
  SmallTree(const Forest& forest, const ReturnOrder& order) : forest_(&forest), order_(&order) {}

  static bool holds(const Forest& forest, std::int32_t tree) {
    return forest.chains.num_trajectories[at(forest.root_chain[at(tree)])] <= kMaxTrajectories;
  }

  /// Writes how many pairs diverge after each of the tree's chains, where there are any.
  void count(std::int32_t tree, std::span<std::int64_t> count);

  /// Writes all pairs of the tree; `out` holds just as many.
  void write(std::int32_t tree, const PairColumns& out);

 private:
  static constexpr std::int32_t kMaxTrajectories = 64;
  using Set = std::uint64_t;

  /// Calls visit(chain, bit of a chosen trajectory, set of those rejected), in the order of pairs.
  template <class Visit>
  void for_each_winner(std::int32_t tree, Visit visit);
  void rank(std::int32_t tree);
  void find_sets(std::int32_t tree);
  Set ending_at(std::int32_t chain) const;
  void find_actions(std::int32_t chain);
  void join_shared(std::int32_t chain, std::size_t num_actions);
  Set set(std::int32_t chain) const { return set_[at(chain - root_)]; }

  const Forest* forest_;
  const ReturnOrder* order_;
  std::int32_t root_ = kNone;
  std::int32_t trajectory_[kMaxTrajectories] = {};
  Set beaten_[kMaxTrajectories] = {};   // by this one
  Set winners_[kMaxTrajectories] = {};  // over this one
  Set bit_[kMaxTrajectories] = {};      // by position within the tree
  std::vector<Set> set_;                // by chain within the tree
  std::vector<Set> action_set_;         // of the divergence at hand
  std::vector<std::int32_t> child_action_;
};

}  // namespace w2stree
