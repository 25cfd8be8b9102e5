#include "w2stree/pairs.hpp"

#include <cmath>

#include "divergence_sweep.hpp"
#include "pair_table.hpp"
#include "parallel.hpp"
#include "w2stree/errors.hpp"

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
  struct Workspace {
    DivergenceSweep sweep;
    std::vector<std::int32_t> num_passed = {};
  };
  const auto num_trees = w2stree::num_trees(forest);
  std::vector<Workspace> workspaces(at(num_workers(num_trees, execution)),
                                    Workspace{DivergenceSweep(forest, rule)});
  std::vector<std::int64_t> count(at(num_chains(forest)), 0);
  parallel_for(num_trees, execution, [&](std::int32_t tree, std::int32_t worker, Watch& watch) {
    auto& [sweep, num_passed] = workspaces[at(worker)];
    for (sweep.enter(tree); sweep.next(); watch.check()) {
      count[at(sweep.chain())] = count_at(sweep, num_passed);
    }
  });
  return count;
}

Pairs enumerate_pairs(const Forest& forest, const PairRule& rule, const Execution& execution) {
  return select_pairs(forest, rule, {}, {}, execution);
}

}  // namespace w2stree
