#include "search/arms.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "w2stree/base/errors.hpp"

namespace w2stree {

bool is_passed_through(const Forest& forest, const SearchOptions& options, std::int32_t chain) {
  if (options.stop_arm || is_leaf(forest, chain)) return false;
  return forest.chains.subtree_end[at(chain + 1)] == forest.chains.subtree_end[at(chain)];
}

std::int32_t pass_through(const Forest& forest, const SearchOptions& options, std::int32_t chain) {
  while (is_passed_through(forest, options, chain)) ++chain;
  return chain;
}

double mean_return_ending_at(const Forest& forest, std::int32_t chain) {
  const auto ending = trajectories_ending_at(forest, chain);
  double sum = 0.0;
  for (const std::int32_t trajectory : ending) sum += forest.total_return[at(trajectory)];
  return sum / static_cast<double>(ending.size());
}

void Arms::start(std::int32_t root, EarlierStatistics earlier) {
  earlier_ = std::move(earlier);
  root_ = root;
  size_ = 0;
  tolerance = {};
  grow(1);
  put(0, {root, false});
}

void Arms::open(ArmId arm) {
  const std::int32_t chain = pass_through(forest_, options_, leads[arm].chain);
  const bool stops = options_.stop_arm && forest_.chains.num_terminal[at(chain)] > 0;
  std::uint32_t num_arms = stops ? 1 : 0;
  for_each_child(forest_, chain, [&](std::int32_t) { ++num_arms; });

  if (num_arms < 2) refuse("chain ", chain, " has one way on; expected it to go on itself");

  ArmId next = size_;
  const std::uint32_t num_blocks = Arms::num_blocks(num_arms);
  grow(num_arms + num_blocks + (num_blocks > 0 ? 1 : 0));
  arms[arm].next = arms[arm].first_arm = next;
  arms[arm].num_arms = num_arms;
  if (stops) put(next++, {chain, true});
  for_each_child(forest_, chain, [&](std::int32_t child) { put(next++, {child, false}); });
  for (; next < size_; ++next) {
    leads[next] = {kNone, false};
    arms[next] = {};
    estimate[next] = -kInfinity;  // as an expiry: long ago
  }

  const auto* first = arms.data() + arms[arm].first_arm;
  arms[arm].num_tried = static_cast<std::uint32_t>(
      std::find_if(first, first + num_arms, [](const Arm& a) { return a.visit_count == 0; }) -
      first);
  if (arms[arm].num_tried < num_arms) arms[arm].next += arms[arm].num_tried;
}

void Arms::grow(std::size_t num_arms) {
  const std::size_t needed = size_ + num_arms;
  if (needed > arms.size()) {
    const std::size_t size = std::max(needed, 2 * arms.size());
    estimate.resize(size);
    inverse_sqrt.resize(size);
    value.resize(size);
    arms.resize(size);
    leads.resize(size);
  }
  size_ = static_cast<ArmId>(needed);
}

// Endings are told and valued at once: their sizes are at hand, and descents need not ask.
void Arms::put(ArmId arm, Lead lead) {
  leads[arm] = lead;
  arms[arm] = {0.0, 0, kUnopened, lead.is_stop ? kStop : 0, 0, 0};
  estimate[arm] = -kInfinity;  // less than any value: for backup "max"
  inverse_sqrt[arm] = 0.0;
  const std::int32_t end = lead.is_stop ? lead.chain : pass_through(forest_, options_, lead.chain);
  if (lead.is_stop || is_leaf(forest_, end)) {
    arms[arm].next = kEnd;
    value[arm] = mean_return_ending_at(forest_, end);
    tolerance.admit(value[arm]);
  }
  if (!earlier_.chain.empty()) restore(arm);
}

void Arms::restore(ArmId arm) {
  const std::size_t chain = at(leads[arm].chain - root_);
  const ArmStatistics& known = (leads[arm].is_stop ? earlier_.stop : earlier_.chain)[chain];
  if (known.visit_count == 0) return;
  const auto count = static_cast<double>(known.visit_count);
  arms[arm].visit_count = known.visit_count;
  arms[arm].value_sum = known.value_sum;
  inverse_sqrt[arm] = leads[arm].is_stop ? 0.0 : 1.0 / std::sqrt(count);
  if (options_.backup == Backup::kMean) {
    estimate[arm] = known.value_sum * (1.0 / count);
  } else {
    estimate[arm] = leads[arm].is_stop ? value[arm] : earlier_.value_max[chain];
  }
  tolerance.admit(estimate[arm]);
}

}  // namespace w2stree
