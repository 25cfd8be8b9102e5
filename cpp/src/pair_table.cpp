#include "pair_table.hpp"

#include <algorithm>
#include <numeric>

namespace w2stree {
namespace {

// Calls visit(place, number of pairs in which the contender there is chosen), in ascending order:
// all that it beats but those of its own action. num_beaten never falls, so one pointer passes
// each contender once.
template <class Visit>
void for_each_chosen(std::span<const Contender> contenders,
                     std::span<const std::int32_t> num_beaten, std::int32_t num_actions,
                     std::vector<std::int32_t>& num_passed, Visit visit) {
  num_passed.assign(at(num_actions), 0);
  std::size_t passed = 0;
  for (std::size_t place = 0; place < contenders.size(); ++place) {
    const std::int32_t limit = num_beaten[at(contenders[place].level)];
    while (contenders[passed].level < limit) ++num_passed[at(contenders[passed++].action)];
    visit(place, static_cast<std::int32_t>(passed) - num_passed[at(contenders[place].action)]);
  }
}

}  // namespace

std::int64_t count_at(const DivergenceSweep& sweep, std::vector<std::int32_t>& num_passed) {
  std::int64_t count = 0;
  for_each_chosen(sweep.contenders(), sweep.num_beaten(), sweep.num_actions(), num_passed,
                  [&](std::size_t, std::int32_t num_rejected) { count += num_rejected; });
  return count;
}

void PairTable::load(const Forest& forest, const DivergenceSweep& sweep) {
  const std::span<const Contender> contenders = sweep.contenders();
  divergence_ = last_node(forest, sweep.chain());
  trajectory_.resize(contenders.size());
  action_.resize(contenders.size());
  for (std::size_t place = 0; place < contenders.size(); ++place) {
    trajectory_[place] = forest.trajectory_order[at(contenders[place].position)];
    action_[place] = contenders[place].action;
  }
  place_chosen(contenders, sweep.num_beaten(), sweep.num_actions());
  chosen_ = 0;
  rank_ = 0;
  listed_action_ = kNone;
}

// A counting sort by action.
void PairTable::place_chosen(std::span<const Contender> contenders,
                             std::span<const std::int32_t> num_beaten, std::int32_t num_actions) {
  action_begin_.assign(at(num_actions) + 1, 0);
  for (const std::int32_t action : action_) ++action_begin_[at(action) + 1];
  std::partial_sum(action_begin_.begin(), action_begin_.end(), action_begin_.begin());
  chosen_place_.resize(contenders.size());
  first_rank_.resize(contenders.size() + 1);
  num_rejected_.resize(contenders.size());
  for_each_chosen(contenders, num_beaten, num_actions, num_passed_,
                  [&](std::size_t place, std::int32_t count) { num_rejected_[place] = count; });
  num_passed_.assign(action_begin_.begin(), action_begin_.end() - 1);
  for (std::size_t place = 0; place < contenders.size(); ++place) {
    chosen_place_[at(num_passed_[at(action_[place])]++)] = static_cast<std::int32_t>(place);
  }
  std::int64_t rank = 0;
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    first_rank_[i] = rank;
    rank += num_rejected_[at(chosen_place_[i])];
  }
  first_rank_.back() = rank;
}

TrajectoryPair PairTable::operator[](std::int64_t rank) const {
  const auto after = std::ranges::upper_bound(first_rank_, rank);
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
  for (std::size_t i = 0; i < chosen_place_.size(); ++i) {
    if (first_rank_[i] == first_rank_[i + 1]) continue;
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
  const std::int64_t num_rejected = first_rank_[best_chosen + 1] - first_rank_[best_chosen];
  for (std::int64_t rank = 0; rank < num_rejected; ++rank) {
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
    const std::int32_t place = chosen_place_[chosen_];
    if (action_[at(place)] != listed_action_) list_rejected(action_[at(place)]);
    const auto count = std::min(static_cast<std::size_t>(first_rank_[chosen_ + 1] - rank_),
                                out.chosen.size() - written);
    std::fill_n(out.chosen.begin() + static_cast<std::ptrdiff_t>(written), count,
                trajectory_[at(place)]);
    std::copy_n(rejected_.begin() + (rank_ - first_rank_[chosen_]), count,
                out.rejected.begin() + static_cast<std::ptrdiff_t>(written));
    written += count;
    rank_ += static_cast<std::int64_t>(count);
  }
  std::fill_n(out.divergence.begin(), written, divergence_);
  return written;
}

// As many as the best of the action beats: all its runs are prefixes of that.
void PairTable::list_rejected(std::int32_t action) {
  const auto best = at(action_begin_[at(action) + 1]) - 1;
  const auto size = static_cast<std::size_t>(first_rank_[best + 1] - first_rank_[best]);
  rejected_.resize(size);
  for (std::size_t place = 0, kept = 0; kept < size; ++place) {
    rejected_[kept] = trajectory_[place];
    kept += action_[place] != action;
  }
  listed_action_ = action;
}

}  // namespace w2stree
