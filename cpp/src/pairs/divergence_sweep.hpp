// Visits the divergences of a tree with their trajectories in ascending order of return, without
// sorting at any of them.
//
//   root chain    9  7 10  8        the slice of all trajectories, ascending by return
//                 │  │  │  │        handed down: a stable partition by child
//   children      9  8 │ 7 10       each child's slice again ascending
//
// A child's slice lies inside its parent's, in the same array: pre-order never returns to a
// parent, so one array as long as the tree has trajectories is enough.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pairs/return_order.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/pairs/pairs.hpp"

namespace w2stree {

/// A trajectory that goes on from a divergence, and how.
struct Contender {
  std::int32_t position;  // in trajectory_order
  std::int32_t level;
  std::int32_t action;  // numbered by first appearance among the children
};

/// All steps together, O(trajectories at each chain passed).
class DivergenceSweep {
 public:
  DivergenceSweep(const Forest& forest, const ReturnOrder& order)
      : forest_(&forest), order_(&order) {}

  void enter(std::int32_t tree);

  /// To the next decision divergence, in pre-order, below which pairs are possible; false at
  /// the end of the tree.
  bool next();

  /// To `chain`, a decision divergence with pairs, at or after the next chain in pre-order.
  void seek(std::int32_t chain);

  std::int32_t chain() const { return chain_; }
  std::int32_t root() const { return root_; }  // of the tree
  std::int32_t num_actions() const { return forest_->chains.num_actions[at(chain_)]; }
  std::span<const Contender> contenders() const { return {contenders_.data(), num_contenders_}; }
  std::span<const std::int32_t> action_begin() const { return action_begin_; }
  std::span<const std::int32_t> num_beaten() const { return order_->num_beaten; }

 private:
  std::span<Ranked> slice(std::int32_t chain);
  bool may_have_pairs(std::int32_t chain);
  void hand_down(std::int32_t chain);
  void find_children(std::int32_t chain);
  std::int32_t first_going_on(std::int32_t chain) const;  // position

  const Forest* forest_;
  const ReturnOrder* order_;
  std::int32_t root_ = kNone;
  std::int32_t chain_ = kNone;
  std::int32_t next_chain_ = 0;
  std::int32_t end_chain_ = 0;
  std::int32_t first_position_ = 0;    // of the tree
  std::vector<Ranked> ranked_;         // the array of slices
  std::vector<Contender> contenders_;  // the first num_contenders_
  std::size_t num_contenders_ = 0;

  // Of the chain at hand. [num_actions + 1]: how many contenders have a lower action.
  std::vector<std::int32_t> action_begin_;
  // Scratch.
  std::vector<std::int32_t> child_;       // by position among those that go on
  std::vector<std::int32_t> child_next_;  // where the next trajectory of each child goes
  std::vector<std::int32_t> child_action_;
  std::vector<Ranked> handed_;
};

}  // namespace w2stree
