// The pairs of one divergence, numbered from 0 (their ranks) and never listed.
//
//   ascending   0   1   2   3   4   5       contenders by return
//   action      a   b   a   c   b   a
//
//   by action   0   2   5 │ 1   4 │ 3       the chosen ones in order, as places in `ascending`
//   rejected    -   1   134 0   023 012     places each of them beats, own action left out: a
//   first_rank  0   0   1   4   5   8  11   prefix of `ascending` without its own action
//
// A chosen trajectory's pairs are one contiguous run, so writing them is one copy, and a rank is
// two binary searches away from its pair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pairs/divergence_sweep.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/pairs/pair_stream.hpp"

namespace w2stree {

struct TrajectoryPair {
  std::int32_t chosen;
  std::int32_t rejected;
};

/// How many pairs the sweep's divergence has. `num_passed` is scratch. O(k).
std::int64_t count_at(const DivergenceSweep& sweep, std::vector<std::int32_t>& num_passed);

class PairTable {
 public:
  /// O(k) for k trajectories that go on from the sweep's divergence.
  void load(const Forest& forest, const DivergenceSweep& sweep);

  std::int64_t size() const { return first_rank_[num_contenders_]; }
  std::int32_t divergence() const { return divergence_; }

  /// O(log k).
  TrajectoryPair operator[](std::int64_t rank) const;

  /// Of greatest gap; ties: lowest chosen, then lowest rejected index. There must be a pair.
  TrajectoryPair best_worst(const Forest& forest) const;

  /// Writes pairs from where the last call stopped (from the first after `load`), as many as
  /// fit, and returns how many.
  std::size_t write(const PairColumns& out);

 private:
  void make_room(std::size_t num_contenders);
  std::size_t write_action(std::int32_t* out_chosen, std::int32_t* out_rejected, std::size_t size);
  void place_chosen(const DivergenceSweep& sweep);
  std::int32_t rejected_place(std::int32_t action, std::int64_t rank) const;
  void list_rejected(std::int32_t action);
  std::int64_t num_rejected(std::size_t chosen) const {
    return first_rank_[chosen + 1] - first_rank_[chosen];
  }

  // Arrays are as long as the largest divergence so far needed.
  std::int32_t divergence_ = kNone;
  std::size_t num_contenders_ = 0;
  std::vector<std::int32_t> trajectory_;        // by place in `ascending`
  std::vector<std::int32_t> action_;            // by place in `ascending`
  std::vector<std::int32_t> action_begin_;      // [num_actions + 1] into chosen_place_
  std::vector<std::int32_t> chosen_place_;      // by action
  std::vector<std::int64_t> first_rank_ = {0};  // [num_contenders + 1] of each chosen one's run
  std::vector<std::int32_t> num_passed_;        // scratch, by action
  std::vector<std::int32_t> next_chosen_;       // scratch, by action

  // Where writing goes on.
  std::size_t chosen_ = 0;
  std::int64_t rank_ = 0;
  std::int32_t listed_action_ = kNone;
  std::vector<std::int32_t> rejected_;  // trajectories the listed action's best beats
};

}  // namespace w2stree
