#include <limits>
#include <string>

#include "support/check.hpp"
#include "support/episodes.hpp"
#include "support/searches.hpp"
#include "w2stree/search/search.hpp"

namespace w2stree::test {
namespace {

void stops_where_stopping_is_best() {
  const Forest forest = inner_ending();
  const SearchResult with_stop = search(forest, {});
  CHECK(with_stop.best_end_chain == Ids{1});
  CHECK(with_stop.best_trajectory == Ids{0});
  const SearchResult without = search(forest, {.stop_arm = false});
  CHECK(without.best_end_chain == Ids{3});
  CHECK(without.best_trajectory == Ids{2});
  CHECK(chain_stop_visit_count(forest, without)[1] == 0);
}

// Twenty episodes, each a prefix of the next, the last a success: one descent for each ending.
void finds_a_success_behind_endings() {
  const std::string steps = "abcdefghijklmnopqrst";
  Episodes episodes;
  for (std::size_t size = 1; size <= steps.size(); ++size) {
    episodes.add(0, steps.substr(0, size), size == steps.size() ? 1.0 : 0.0);
  }
  const Forest forest = build_forest(episodes.columns());
  for (const Backup backup : {Backup::kMean, Backup::kMax}) {
    for (const std::int64_t num_simulations : {20, 21, 40, 1000}) {
      const SearchOptions options = {.num_simulations = num_simulations, .backup = backup};
      CHECK(search(forest, options).best_trajectory == Ids{19});
    }
  }
}

// STOP 0.6 against children of 0.59 and 0.58: looked at once, and taken in spite of min_visits.
void knows_stop_after_one_visit() {
  const Forest forest =
      build_forest(Episodes().add(0, "a", 0.6).add(0, "ab", 0.59).add(0, "ac", 0.58).columns());
  const SearchResult result = search(forest, {.num_simulations = 60, .min_visits = 10});
  CHECK(chain_stop_visit_count(forest, result)[0] == 1);
  CHECK(result.best_trajectory == Ids{0});
}

// Returns and their scale times a power of two: the same descents, to the bit.
void scales_the_bonus_with_the_returns() {
  const auto forest_of = [](double scale) {
    Episodes episodes;
    for (int i = 0; i < 200; ++i) {
      const std::string steps = {static_cast<char>('a' + i % 5),
                                 static_cast<char>('a' + i / 5 % 7)};
      episodes.add(0, std::string_view(steps).substr(0, at(i % 3)), i * 13 % 17 / 17.0 * scale);
    }
    return build_forest(episodes.columns());
  };
  const Forest unit = forest_of(1.0);
  const Forest scaled = forest_of(64.0);
  const SearchResult expected = search(unit, {});
  const SearchResult found = search(scaled, {.return_scale = 64.0});
  CHECK(visits(unit, expected) == visits(scaled, found));
  CHECK(expected.best_trajectory == found.best_trajectory);
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

void gives_distinct_paths() {
  const SearchResult result = search(inner_ending(), {.num_paths = 9});
  CHECK(result.path_end_chain == Ids{1, 2, 3});  // abc is in the better arm
  CHECK(result.path_trajectory == Ids{0, 1, 2});
  CHECK(result.path_tree == Ids{0, 0, 0});
  CHECK(result.path_value == Values{1.0, 0.0, 0.3});
  // One descent reached one ending.
  CHECK(search(inner_ending(), {.num_simulations = 1, .num_paths = 9}).path_tree == Ids{0});
}

void refuses_bad_options() {
  const Forest forest = inner_ending();
  CHECK_REFUSED(search(forest, {.num_simulations = 0}), "num_simulations=0; expected at least 1");
  CHECK_REFUSED(search(forest, {.exploration = -1}),
                "exploration=-1; expected a finite number >= 0");
  CHECK_REFUSED(search(forest, {.exploration = std::numeric_limits<double>::infinity()}),
                "exploration=inf; expected a finite number >= 0");
  CHECK_REFUSED(search(forest, {.return_scale = 0}),
                "return_scale=0; expected a finite number > 0");
  CHECK_REFUSED(search(forest, {.exploration = 1e200, .return_scale = 1e200}),
                "exploration=1e+200 times return_scale=1e+200 overflows; lower exploration");
  CHECK_REFUSED(search(forest, {.min_visits = -1}), "min_visits=-1; expected at least 0");
  CHECK_REFUSED(search(forest, {.num_paths = 0}), "num_paths=0; expected at least 1");
  CHECK_REFUSED(search(forest, {.patience = 0}), "patience=0; expected at least 1");
  CHECK_REFUSED(search(forest, {}, {.num_threads = 0}), "num_threads=0; expected at least 1");
}

void is_read_with_its_own_forest() {
  const Forest forest = inner_ending();
  const SearchResult result = search(forest, {});
  const Forest copy = forest;  // shares its columns: it is the same
  CHECK(chain_visit_count(copy, result) == chain_visit_count(forest, result));
  const std::string message = "the search result is of another forest";
  CHECK_REFUSED(chain_visit_count(inner_ending(), result), message);
  CHECK_REFUSED(chain_value_max(inner_ending(), result), message);
  CHECK_REFUSED(check_is_of(inner_ending(), result), message);
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({stops_where_stopping_is_best, finds_a_success_behind_endings,
              knows_stop_after_one_visit, scales_the_bonus_with_the_returns,
              takes_unvisited_arms_in_order, breaks_ties_by_the_first_arm,
              represents_an_ending_by_its_best_trajectory, walks_on_where_nothing_was_visited,
              handles_trees_without_steps_or_trajectories, does_not_depend_on_threads,
              gives_distinct_paths, refuses_bad_options, is_read_with_its_own_forest});
}
