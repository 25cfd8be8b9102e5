#include <limits>
#include <string>

#include "check.hpp"
#include "episodes.hpp"
#include "w2stree/search.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;
using Counts = std::vector<std::int64_t>;
using Values = std::vector<double>;

Counts visits(const Forest& forest, const SearchResult& result) {
  const Column<std::int64_t> column = chain_visit_count(forest, result);
  return {column.begin(), column.end()};
}

// Equal in all but the count of exact checks.
void check_equal(const Forest& forest, const SearchResult& left, const SearchResult& right) {
  CHECK(chain_visit_count(forest, left) == chain_visit_count(forest, right));
  CHECK(chain_value_sum(forest, left) == chain_value_sum(forest, right));
  CHECK(chain_stop_visit_count(forest, left) == chain_stop_visit_count(forest, right));
  CHECK(chain_stop_value_sum(forest, left) == chain_stop_value_sum(forest, right));
  CHECK(chain_value_max(forest, left) == chain_value_max(forest, right));
  CHECK(left.num_simulations == right.num_simulations);
  CHECK(left.best_end_chain == right.best_end_chain);
  CHECK(left.best_trajectory == right.best_trajectory);
  CHECK(left.path_tree == right.path_tree);
  CHECK(left.path_end_chain == right.path_end_chain);
  CHECK(left.path_trajectory == right.path_trajectory);
  CHECK(left.path_value == right.path_value);
  CHECK(left.path_visit_count == right.path_visit_count);
}

// ab 1.0, abc 0.0, ad 0.3: the best trajectory ends inside the tree.
//   chain 0 root and a, 1 ab, 2 abc, 3 ad
Forest inner_ending() {
  return build_forest(Episodes().add(0, "ab", 1.0).add(0, "abc", 0.0).add(0, "ad", 0.3).columns());
}

void stops_where_stopping_is_best() {
  const SearchResult with_stop = search(inner_ending(), {});
  CHECK(with_stop.best_end_chain == Ids{1});
  CHECK(with_stop.best_trajectory == Ids{0});
  const SearchResult without = search(inner_ending(), {.stop_arm = false});
  CHECK(without.best_end_chain == Ids{3});
  CHECK(without.best_trajectory == Ids{2});
  CHECK(chain_stop_visit_count(inner_ending(), without)[1] == 0);
}

void takes_unvisited_arms_in_order() {
  // First descent: root, a, ab, STOP. Second: root, a, ad (unvisited). Third: back to ab, whose
  // r/c is greater, and there abc (unvisited).
  const Forest forest = inner_ending();
  CHECK(visits(forest, search(forest, {.num_simulations = 1})) == Counts{1, 1, 0, 0});
  CHECK(visits(forest, search(forest, {.num_simulations = 2})) == Counts{2, 1, 0, 1});
  const SearchResult third = search(forest, {.num_simulations = 3});
  CHECK(visits(forest, third) == Counts{3, 2, 1, 1});
  CHECK(chain_stop_visit_count(forest, third) == Column(Counts{0, 1, 1, 1}));
  CHECK(chain_value_sum(forest, third) == Column(Values{1.3, 1.0, 0.0, 0.3}));
  CHECK(chain_stop_value_sum(forest, third) == Column(Values{0.0, 1.0, 0.0, 0.3}));
}

void breaks_ties_by_the_first_arm() {
  const Forest forest = build_forest(Episodes().add(0, "b", 0.5).add(0, "a", 0.5).columns());
  const SearchResult result = search(forest, {.num_simulations = 5});
  CHECK(visits(forest, result) == Counts{5, 3, 2});
  CHECK(result.best_trajectory == Ids{0});
}

void represents_an_ending_by_its_best_trajectory() {
  const Forest forest =
      build_forest(Episodes().add(0, "a", 0.2).add(0, "a", 0.8).add(0, "a", 0.8).columns());
  const SearchResult result = search(forest, {.num_simulations = 1});
  CHECK(result.best_trajectory == Ids{1});
  CHECK(chain_value_sum(forest, result)[0] == (0.2 + 0.8 + 0.8) / 3);
}

void walks_on_where_nothing_was_visited() {
  // One descent visits the first arm b only; the extraction walks it to its leaf.
  const Forest forest = build_forest(Episodes().add(0, "bc", -3.0).add(0, "a", 1.0).columns());
  CHECK(search(forest, {.num_simulations = 1}).best_trajectory == Ids{0});
  // The demo scores an unvisited child -999999, and a visited one may be worse.
  const Forest worse = build_forest(Episodes().add(0, "bc", -1e6).add(0, "a", 1.0).columns());
  CHECK(search(worse, {.num_simulations = 1, .stop_arm = false}).best_trajectory == Ids{1});
  CHECK(search(worse, {.num_simulations = 1, .stop_arm = true}).best_trajectory == Ids{0});
}

void handles_trees_without_steps_or_trajectories() {
  Episodes episodes = Episodes().add(0, "", 0.5).add(0, "", 1.0);
  episodes.num_trees = 2;
  const Forest forest = build_forest(episodes.columns());
  const SearchResult result = search(forest, {.num_simulations = 4});
  CHECK(result.best_end_chain == Ids{0, kNone});
  CHECK(result.best_trajectory == Ids{1, kNone});
  CHECK(chain_value_sum(forest, result) == Column(Values{3.0, 0.0}));
  CHECK(result.num_simulations == Counts{4, 0});
  CHECK(result.path_tree == Ids{0});
}

void does_not_depend_on_threads() {
  Episodes episodes;
  for (int i = 0; i < 900; ++i) {
    const std::string steps = {static_cast<char>('a' + i % 3), static_cast<char>('a' + i / 3 % 4),
                               static_cast<char>('A' + i / 12 % 2)};
    episodes.add(i % 37, std::string_view(steps).substr(0, at(i % 4)), i * 13 % 17 / 17.0);
  }
  const Forest forest = build_forest(episodes.columns());
  const SearchResult one = search(forest, {.num_simulations = 200});
  for (const std::int32_t num_threads : {2, 3, 4, 64}) {
    const SearchResult many =
        search(forest, {.num_simulations = 200}, {.num_threads = num_threads});
    check_equal(forest, many, one);
    CHECK(many.num_exact_checks == one.num_exact_checks);
  }
}

void refuses_bad_options() {
  const Forest forest = inner_ending();
  CHECK_REFUSED(search(forest, {.num_simulations = 0}), "num_simulations=0; expected at least 1");
  CHECK_REFUSED(search(forest, {.exploration = -1}),
                "exploration=-1; expected a finite number >= 0");
  CHECK_REFUSED(search(forest, {.exploration = std::numeric_limits<double>::infinity()}),
                "exploration=inf; expected a finite number >= 0");
  CHECK_REFUSED(search(forest, {}, {.num_threads = 0}), "num_threads=0; expected at least 1");
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({stops_where_stopping_is_best, takes_unvisited_arms_in_order,
              breaks_ties_by_the_first_arm, represents_an_ending_by_its_best_trajectory,
              walks_on_where_nothing_was_visited, handles_trees_without_steps_or_trajectories,
              does_not_depend_on_threads, refuses_bad_options});
}
