#include "w2stree/pairs/pairs.hpp"

#include <cmath>

#include "pairs/pair_counts.hpp"
#include "pairs/return_order.hpp"
#include "w2stree/base/errors.hpp"

namespace w2stree {

void check(const PairRule& rule) {
  if (!std::isfinite(rule.min_gap) || rule.min_gap < 0) {
    refuse("min_gap=", rule.min_gap, "; expected a finite number >= 0");
  }
  if (rule.success_threshold && !std::isfinite(*rule.success_threshold)) {
    refuse("success_threshold=", *rule.success_threshold, "; expected a finite number");
  }
}

std::vector<std::int64_t> count_pairs(const Forest& forest, const PairRule& rule,
                                      const Execution& execution) {
  check(rule);
  return count_pairs(forest, ReturnOrder(forest, rule), execution);
}

Pairs enumerate_pairs(const Forest& forest, const PairRule& rule, const Execution& execution) {
  return select_pairs(forest, rule, {}, {}, execution);
}

Column<double> pair_gaps(const Forest& forest, std::span<const std::int32_t> chosen,
                         std::span<const std::int32_t> rejected) {
  if (chosen.size() != rejected.size()) {
    refuse("rejected has ", rejected.size(), " elements; expected ", chosen.size(),
           ", as in chosen");
  }
  const std::span<const double> total_return = forest.total_return;
  Buffer<double> gap(chosen.size());
  for (std::size_t i = 0; i < gap.size(); ++i) {
    if (at(chosen[i]) >= total_return.size() || at(rejected[i]) >= total_return.size()) {
      refuse("pair ", i, " is of trajectories ", chosen[i], " and ", rejected[i], " of ",
             total_return.size());
    }
    gap[i] = total_return[at(chosen[i])] - total_return[at(rejected[i])];
  }
  return gap;
}

}  // namespace w2stree
