#include "pairs/pair_table.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

namespace w2stree {
namespace {

// Runs are short more often than not: eight at a time, two vectors of the smallest machine, and
// no call. Whoever has less room than a run and a block copies exactly.
constexpr std::size_t kBlock = 8;

// Calls visit(place, number of pairs in which the contender there is chosen), in ascending order:
// all that it beats but those of its own action. num_beaten never falls, so one pointer passes
// each contender once.
template <class Visit>
void for_each_chosen(const DivergenceSweep& sweep, std::vector<std::int32_t>& num_passed,
                     Visit visit) {
  const std::span<const Contender> contenders = sweep.contenders();
  const std::span<const std::int32_t> num_beaten = sweep.num_beaten();
  num_passed.assign(at(sweep.num_actions()), 0);
  std::size_t passed = 0;
  for (std::size_t place = 0; place < contenders.size(); ++place) {
    const std::int32_t limit = num_beaten[at(contenders[place].level)];
    while (contenders[passed].level < limit) ++num_passed[at(contenders[passed++].action)];
    visit(place, static_cast<std::int32_t>(passed) - num_passed[at(contenders[place].action)]);
  }
}

// Copies `count` numbers in whole blocks: reads and writes up to a block beyond.
void copy_blocks(const std::int32_t* from, std::size_t count, std::int32_t* to) {
  for (std::size_t i = 0; i < count; i += kBlock) {
    std::memcpy(to + i, from + i, kBlock * sizeof(std::int32_t));
  }
}

void fill_blocks(std::int32_t* to, std::size_t count, std::int32_t value) {
  std::array<std::int32_t, kBlock> block;
  block.fill(value);
  for (std::size_t i = 0; i < count; i += kBlock) {
    std::memcpy(to + i, block.data(), sizeof block);
  }
}

}  // namespace

std::int64_t count_at(const DivergenceSweep& sweep, std::vector<std::int32_t>& num_passed) {
  std::int64_t count = 0;
  for_each_chosen(sweep, num_passed,
                  [&](std::size_t, std::int32_t num_rejected) { count += num_rejected; });
  return count;
}

void PairTable::load(const Forest& forest, const DivergenceSweep& sweep) {
  const std::span<const Contender> contenders = sweep.contenders();
  divergence_ = last_node(forest, sweep.chain());
  make_room(contenders.size());
  for (std::size_t place = 0; place < contenders.size(); ++place) {
    trajectory_[place] = forest.trajectory_order[at(contenders[place].position)];
    action_[place] = contenders[place].action;
  }
  action_begin_.assign(sweep.action_begin().begin(), sweep.action_begin().end());
  place_chosen(sweep);
  chosen_ = 0;
  rank_ = 0;
  listed_action_ = kNone;
}

void PairTable::make_room(std::size_t num_contenders) {
  num_contenders_ = num_contenders;
  if (trajectory_.size() >= num_contenders) return;
  trajectory_.resize(num_contenders);
  action_.resize(num_contenders);
  chosen_place_.resize(num_contenders);
  first_rank_.resize(num_contenders + 1);
  rejected_.resize(num_contenders + kBlock);
}

// A counting sort by action.
void PairTable::place_chosen(const DivergenceSweep& sweep) {
  next_chosen_.assign(action_begin_.begin(), action_begin_.end() - 1);
  for_each_chosen(sweep, num_passed_, [&](std::size_t place, std::int32_t count) {
    const auto chosen = at(next_chosen_[at(action_[place])]++);
    chosen_place_[chosen] = static_cast<std::int32_t>(place);
    first_rank_[chosen] = count;  // so far
  });
  std::int64_t rank = 0;
  for (std::size_t chosen = 0; chosen < num_contenders_; ++chosen) {
    rank += std::exchange(first_rank_[chosen], rank);
  }
  first_rank_[num_contenders_] = rank;
}

TrajectoryPair PairTable::operator[](std::int64_t rank) const {
  const auto end = first_rank_.begin() + static_cast<std::ptrdiff_t>(num_contenders_);
  const auto after = std::upper_bound(first_rank_.begin(), end, rank);
  const auto chosen = static_cast<std::size_t>(after - first_rank_.begin()) - 1;
  const std::int32_t place = chosen_place_[chosen];
  const std::int32_t rejected = rejected_place(action_[at(place)], rank - first_rank_[chosen]);
  return {trajectory_[at(place)], trajectory_[at(rejected)]};
}

// The place of the rank-th contender with another action. Before the i-th of this action lie
// its place - i others.
std::int32_t PairTable::rejected_place(std::int32_t action, std::int64_t rank) const {
  const auto begin = chosen_place_.begin() + action_begin_[at(action)];
  const auto end = chosen_place_.begin() + action_begin_[at(action) + 1];
  const auto after = std::partition_point(
      begin, end, [&](const std::int32_t& place) { return place - (&place - &*begin) <= rank; });
  return static_cast<std::int32_t>(rank + (after - begin));
}

TrajectoryPair PairTable::best_worst(const Forest& forest) const {
  const auto gap = [&](std::int32_t chosen, std::int32_t rejected) {
    return forest.total_return[at(chosen)] - forest.total_return[at(rejected)];
  };
  TrajectoryPair best{kNone, kNone};
  double best_gap = 0.0;
  std::size_t best_chosen = 0;
  for (std::size_t i = 0; i < num_contenders_; ++i) {
    if (num_rejected(i) == 0) continue;
    const std::int32_t chosen = trajectory_[at(chosen_place_[i])];
    const std::int32_t worst = trajectory_[at(rejected_place(action_[at(chosen_place_[i])], 0))];
    const double own = gap(chosen, worst);
    if (own < best_gap || (own == best_gap && chosen > best.chosen)) continue;
    best = {chosen, worst};
    best_gap = own;
    best_chosen = i;
  }
  // Other returns may have the same gap after rounding.
  const std::int32_t action = action_[at(chosen_place_[best_chosen])];
  for (std::int64_t rank = 0; rank < num_rejected(best_chosen); ++rank) {
    const std::int32_t rejected = trajectory_[at(rejected_place(action, rank))];
    if (gap(best.chosen, rejected) != best_gap) break;
    best.rejected = std::min(best.rejected, rejected);
  }
  return best;
}

std::size_t PairTable::write(const PairColumns& out) {
  std::size_t written = 0;
  while (written < out.chosen.size() && rank_ < size()) {
    while (first_rank_[chosen_ + 1] == rank_) ++chosen_;
    const std::int32_t action = action_[at(chosen_place_[chosen_])];
    if (action != listed_action_) list_rejected(action);
    written += write_action(out.chosen.data() + written, out.rejected.data() + written,
                            out.chosen.size() - written);
  }
  std::fill_n(out.divergence.begin(), written, divergence_);
  return written;
}

// Writes what is left of the listed action's runs, at most `size` pairs.
std::size_t PairTable::write_action(std::int32_t* out_chosen, std::int32_t* out_rejected,
                                    std::size_t size) {
  const auto end = at(action_begin_[at(listed_action_) + 1]);
  const std::int64_t last_rank = rank_ + static_cast<std::int64_t>(size);
  std::int64_t rank = rank_;
  std::size_t chosen = chosen_;
  while (chosen < end && rank < last_rank) {
    const std::int64_t run_end = std::min(first_rank_[chosen + 1], last_rank);
    const auto count = static_cast<std::size_t>(run_end - rank);
    const std::int32_t trajectory = trajectory_[at(chosen_place_[chosen])];
    const std::int32_t* rejected = rejected_.data() + (rank - first_rank_[chosen]);
    if (run_end + static_cast<std::int64_t>(kBlock) <= last_rank) {
      fill_blocks(out_chosen, count, trajectory);
      copy_blocks(rejected, count, out_rejected);
    } else {
      std::fill_n(out_chosen, count, trajectory);
      std::copy_n(rejected, count, out_rejected);
    }
    out_chosen += count;
    out_rejected += count;
    rank = run_end;
    chosen += rank == first_rank_[chosen + 1];
  }
  const auto written = static_cast<std::size_t>(rank - rank_);
  rank_ = rank;
  chosen_ = chosen;
  return written;
}

// As many as the best of the action beats: all its runs are prefixes of that.
void PairTable::list_rejected(std::int32_t action) {
  const auto best = at(action_begin_[at(action) + 1]) - 1;
  const auto size = static_cast<std::size_t>(num_rejected(best));
  for (std::size_t place = 0, kept = 0; kept < size; ++place) {
    rejected_[kept] = trajectory_[place];
    kept += action_[place] != action;
  }
  listed_action_ = action;
}

}  // namespace w2stree
