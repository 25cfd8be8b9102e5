#include <limits>
#include <string>

#include "check.hpp"
#include "episodes.hpp"
#include "w2stree/search.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;
using Counts = std::vector<std::int64_t>;

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
  CHECK(without.stop_visit_count[1] == 0);
}

void takes_unvisited_arms_in_order() {
  // First descent: root, a, ab, STOP. Second: root, a, ad (unvisited). Third: back to ab, whose
  // r/c is greater, and there abc (unvisited).
  CHECK(search(inner_ending(), {.num_simulations = 1}).visit_count == Counts{1, 1, 0, 0});
  CHECK(search(inner_ending(), {.num_simulations = 2}).visit_count == Counts{2, 1, 0, 1});
  const SearchResult third = search(inner_ending(), {.num_simulations = 3});
  CHECK(third.visit_count == Counts{3, 2, 1, 1});
  CHECK(third.stop_visit_count == Counts{0, 1, 1, 1});
  CHECK(third.value_sum == std::vector<double>{1.3, 1.0, 0.0, 0.3});
}

void breaks_ties_by_the_first_arm() {
  const Forest forest = build_forest(Episodes().add(0, "b", 0.5).add(0, "a", 0.5).columns());
  const SearchResult result = search(forest, {.num_simulations = 5});
  CHECK(result.visit_count == Counts{5, 3, 2});
  CHECK(result.best_trajectory == Ids{0});
}

void represents_an_ending_by_its_best_trajectory() {
  const Forest forest =
      build_forest(Episodes().add(0, "a", 0.2).add(0, "a", 0.8).add(0, "a", 0.8).columns());
  const SearchResult result = search(forest, {.num_simulations = 1});
  CHECK(result.best_trajectory == Ids{1});
  CHECK(result.value_sum[0] == (0.2 + 0.8 + 0.8) / 3);
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
  const SearchResult result = search(build_forest(episodes.columns()), {.num_simulations = 4});
  CHECK(result.best_end_chain == Ids{0, kNone});
  CHECK(result.best_trajectory == Ids{1, kNone});
  CHECK(result.value_sum == std::vector<double>{3.0, 0.0});
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
    CHECK(many.visit_count == one.visit_count);
    CHECK(many.value_sum == one.value_sum);
    CHECK(many.stop_visit_count == one.stop_visit_count);
    CHECK(many.stop_value_sum == one.stop_value_sum);
    CHECK(many.best_end_chain == one.best_end_chain);
    CHECK(many.best_trajectory == one.best_trajectory);
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
