#include "w2stree/search/search.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/parallel.hpp"
#include "search/tree_search.hpp"
#include "w2stree/base/errors.hpp"

namespace w2stree {
namespace {

void check(const SearchOptions& options) {
  if (options.num_simulations < 1) {
    refuse("num_simulations=", options.num_simulations, "; expected at least 1");
  }
  if (!std::isfinite(options.exploration) || options.exploration < 0) {
    refuse("exploration=", options.exploration, "; expected a finite number >= 0");
  }
  if (!(options.return_scale > 0) || !std::isfinite(options.return_scale)) {
    refuse("return_scale=", options.return_scale, "; expected a finite number > 0");
  }
  if (!std::isfinite(options.exploration_of_returns())) {
    refuse("exploration=", options.exploration, " times return_scale=", options.return_scale,
           " overflows; lower exploration");
  }
  if (options.min_visits < 0) {
    refuse("min_visits=", options.min_visits, "; expected at least 0");
  }
  if (options.num_paths < 1) refuse("num_paths=", options.num_paths, "; expected at least 1");
  if (options.patience && *options.patience < 1) {
    refuse("patience=", *options.patience, "; expected at least 1");
  }
}

void check(const Forest& forest, const SearchOptions& options, const SearchResult& earlier) {
  check_is_of(forest, earlier);
  const SearchOptions& before = earlier.options;
  if (before.exploration != options.exploration) {
    refuse("exploration=", options.exploration, "; resume was searched with ", before.exploration);
  }
  if (before.return_scale != options.return_scale) {
    refuse("return_scale=", options.return_scale, "; resume was searched with ",
           before.return_scale);
  }
  if (before.stop_arm != options.stop_arm) {
    refuse("stop_arm differs from that of resume");
  }
  if (before.backup != options.backup) refuse("backup differs from that of resume");
}

// The most descents a tree may have seen when the search is over.
std::int64_t greatest_count(const SearchOptions& options, const SearchResult* earlier) {
  std::int64_t before = 0;
  if (earlier != nullptr && !earlier->num_simulations.empty()) {
    before = std::ranges::max(earlier->num_simulations);
  }
  return std::min(options.num_simulations, CountTable::kMostTabulated) + before;
}

// Moves what the trees left into columns, in the order of the trees.
void assemble(std::vector<TreeResult>& trees, SearchResult& result) {
  for (std::size_t tree = 0; tree < trees.size(); ++tree) {
    TreeResult& from = trees[tree];
    result.statistics.push_back(std::move(from.statistics));
    result.num_simulations.push_back(from.num_simulations);
    result.last_look.push_back(from.last_look);
    result.has_converged.push_back(from.has_converged ? 1 : 0);
    result.best_end_chain.push_back(from.paths.empty() ? kNone : from.paths.front().end_chain);
    result.best_trajectory.push_back(from.paths.empty() ? kNone : from.paths.front().trajectory);
    for (const Path& path : from.paths) {
      result.path_tree.push_back(static_cast<std::int32_t>(tree));
      result.path_end_chain.push_back(path.end_chain);
      result.path_trajectory.push_back(path.trajectory);
      result.path_value.push_back(path.value);
      result.path_visit_count.push_back(path.visit_count);
    }
  }
}

SearchResult search_from(const Forest& forest, const SearchResult* earlier,
                         const SearchOptions& options, const Execution& execution) {
  const CountTable counts(options.exploration_of_returns(), greatest_count(options, earlier));
  const std::int32_t num_trees = w2stree::num_trees(forest);
  std::vector<std::unique_ptr<TreeSearch>> searches(at(num_workers(num_trees, execution)));
  std::vector<TreeResult> trees(at(num_trees));
  parallel_for(num_trees, execution, [&](std::int32_t tree, std::int32_t worker, Watch& watch) {
    if (forest.chains.num_trajectories[at(forest.root_chain[at(tree)])] == 0) return;
    auto& search = searches[at(worker)];
    if (!search) search = std::make_unique<TreeSearch>(forest, options, counts);
    trees[at(tree)] = search->run(tree, earlier, watch);
  });
  SearchResult result;
  result.options = options;
  result.searched = forest.chains.parent;
  assemble(trees, result);
  for (const auto& search : searches) {
    if (search) result.num_exact_checks += search->num_exact_checks();
  }
  return result;
}

}  // namespace

SearchResult search(const Forest& forest, const SearchOptions& options,
                    const Execution& execution) {
  check(options);
  return search_from(forest, nullptr, options, execution);
}

void check_is_of(const Forest& forest, const SearchResult& result) {
  if (result.searched.data() != forest.chains.parent.data()) {
    refuse("the search result is of another forest");
  }
}

SearchResult continue_search(const Forest& forest, const SearchResult& earlier,
                             const SearchOptions& options, const Execution& execution) {
  check(options);
  check(forest, options, earlier);
  return search_from(forest, &earlier, options, execution);
}

}  // namespace w2stree
