#include "return_order.hpp"

#include <algorithm>

namespace w2stree {
namespace {

bool is_pair(double chosen, double rejected, const PairRule& rule) {
  const double gap = chosen - rejected;
  if (!(gap > 0 && gap >= rule.min_gap)) return false;
  return !rule.success_threshold ||
         (chosen >= *rule.success_threshold && rejected < *rule.success_threshold);
}

}  // namespace

void find_beaten(std::span<const double> level, const PairRule& rule,
                 std::vector<std::int32_t>& num_beaten) {
  num_beaten.clear();
  std::int32_t beaten = 0;
  for (const double chosen : level) {
    while (is_pair(chosen, level[at(beaten)], rule)) ++beaten;  // stops at `chosen`: gap 0
    num_beaten.push_back(beaten);
  }
}

void ReturnOrder::rank(const Forest& forest, std::int32_t tree, const PairRule& rule) {
  const std::int32_t root = forest.root_chain[at(tree)];
  std::int32_t position = forest.chains.first_trajectory[at(root)];
  returns_.clear();
  for (const std::int32_t trajectory : trajectories_through(forest, root)) {
    returns_.push_back({forest.total_return[at(trajectory)], trajectory, position++});
  }
  std::ranges::sort(returns_, [](const Return& left, const Return& right) {
    return left.value != right.value ? left.value < right.value
                                     : left.trajectory < right.trajectory;
  });
  level_.clear();
  ascending_.clear();
  for (const Return& own : returns_) {
    if (level_.empty() || own.value != level_.back()) level_.push_back(own.value);
    ascending_.push_back({own.position, static_cast<std::int32_t>(level_.size()) - 1});
  }
  find_beaten(level_, rule, num_beaten_);
}

}  // namespace w2stree
