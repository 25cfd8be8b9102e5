#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "base/exact_log.hpp"
#include "support/check.hpp"
#include "support/episodes.hpp"
#include "w2stree/search/search.hpp"

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

double known_log(std::int64_t total) {
  static std::vector<double> logs = {0.0};
  while (static_cast<std::int64_t>(logs.size()) <= total) {
    logs.push_back(exact_log(static_cast<double>(logs.size()) + 1e-12));
  }
  return logs[static_cast<std::size_t>(total)];
}

// One root with an arm for each return, searched as the method is written down: the arms taken.
std::vector<std::size_t> plain_star(const std::vector<double>& returns,
                                    const SearchOptions& options) {
  Counts visit_count(returns.size(), 0);
  Values value_sum(returns.size(), 0.0);
  std::vector<std::size_t> taken;
  for (std::int64_t total = 0; total < options.num_simulations; ++total) {
    const double log_total = total > 0 ? known_log(total) : 0.0;
    std::size_t best = 0;
    double best_score = -1e300;
    for (std::size_t arm = 0; arm < returns.size(); ++arm) {
      const auto c = static_cast<double>(visit_count[arm]);
      const double score = value_sum[arm] / c + options.exploration * std::sqrt(log_total / c);
      if (visit_count[arm] == 0 || score > best_score) {
        best = arm;
        best_score = score;
      }
      if (visit_count[arm] == 0) break;
    }
    visit_count[best] += 1;
    value_sum[best] += returns[best];
    taken.push_back(best);
  }
  return taken;
}

Forest star(const std::vector<double>& returns) {
  Episodes episodes;
  for (std::size_t arm = 0; arm < returns.size(); ++arm) {
    episodes.action_id.push_back(static_cast<std::int32_t>(arm));
    episodes.observation_id.push_back(0);
    episodes.step_offset.push_back(static_cast<std::int64_t>(arm + 1));
    episodes.tree_id.push_back(0);
    episodes.total_return.push_back(returns[arm]);
  }
  episodes.num_trees = 1;
  return build_forest(episodes.columns());
}

// Compares the first descents too, `step` by `step`, because a wrong one may be made up for later.
// Returns the number of exact checks.
std::int64_t check_star(const std::vector<double>& returns, SearchOptions options,
                        std::int64_t step = 1 << 20) {
  const Forest forest = star(returns);
  const std::vector<std::size_t> taken = plain_star(returns, options);
  Counts expected(returns.size() + 1, 0);  // by chain, the root's first
  for (std::size_t i = 0; i + 1 < taken.size(); ++i) {
    expected[0] += 1;
    expected[1 + taken[i]] += 1;
    if (expected[0] % step != 0) continue;
    options.num_simulations = expected[0];
    CHECK(visits(forest, search(forest, options)) == expected);
  }
  expected[0] += 1;
  expected[1 + taken.back()] += 1;
  options.num_simulations = expected[0];
  const SearchResult result = search(forest, options);
  CHECK(visits(forest, result) == expected);
  return result.num_exact_checks;
}

std::vector<double> some_returns(std::size_t num_arms, std::uint64_t num_values) {
  std::mt19937_64 random(num_arms);
  std::vector<double> returns(num_arms);
  for (double& value : returns) {
    value = static_cast<double>(random() % num_values) / static_cast<double>(num_values);
  }
  return returns;
}

void decides_among_few_and_many_arms() {
  for (const std::size_t num_arms : {2U, 3U, 16U, 17U, 64U, 65U, 130U, 1024U}) {
    for (const std::uint64_t num_values : {1U, 11U, 1U << 30U}) {
      for (const double exploration : {0.0, 0.05, 1.41}) {
        const auto num_simulations = static_cast<std::int64_t>(num_arms + 400);
        check_star(some_returns(num_arms, num_values),
                   {.num_simulations = num_simulations, .exploration = exploration});
      }
    }
  }
}

// Bonuses grow until an arm overtakes the best of its block without a visit to either.
void notices_when_arms_overtake() {
  check_star(some_returns(65, 1U << 30U), {.num_simulations = 2000, .exploration = 0.3}, 31);
  check_star(some_returns(300, 1U << 30U), {.num_simulations = 2000, .exploration = 0.3}, 31);
}

void decides_near_ties_exactly() {
  for (const std::size_t num_arms : {2U, 5U, 20U, 64U, 100U, 400U}) {
    std::vector<double> returns(num_arms, 0.3);
    for (std::size_t arm = 0; arm < num_arms; ++arm) {
      for (std::size_t i = 0; i < 7 * arm % 5; ++i) returns[arm] = std::nextafter(returns[arm], 1);
    }
    for (const double exploration : {0.0, 0.3, 1.41}) {
      CHECK(check_star(returns, {.num_simulations = 1000, .exploration = exploration}) > 50);
    }
    CHECK(check_star(std::vector<double>(num_arms, 0.3), {.num_simulations = 1000}) == 0);
  }
}

// Beyond the table of counts, and beyond what the near ties before left in the cache of logarithms.
void counts_beyond_the_table() {
  check_star({0.5, 0.25, 0.75}, {.num_simulations = 70000});
  check_star({0.5, std::nextafter(0.5, 1)}, {.num_simulations = 70000});
}

void continues_where_it_stopped() {
  Episodes episodes;
  for (int i = 0; i < 600; ++i) {
    const std::string steps = {static_cast<char>('a' + i % 5), static_cast<char>('a' + i / 5 % 4),
                               static_cast<char>('A' + i / 20 % 6)};
    episodes.add(i % 3, std::string_view(steps).substr(0, at(i % 4)), i * 13 % 17 / 17.0);
  }
  const Forest forest = build_forest(episodes.columns());
  for (const Backup backup : {Backup::kMean, Backup::kMax}) {
    for (const bool stop_arm : {true, false}) {
      SearchOptions options = {
          .stop_arm = stop_arm, .backup = backup, .min_visits = 2, .num_paths = 7};
      const SearchResult at_once = search(forest, options);
      options.num_simulations = 400;
      SearchResult result = search(forest, options);
      options.num_simulations = 599;
      result = continue_search(forest, result, options, {.num_threads = 2});
      options.num_simulations = 1;
      check_equal(forest, continue_search(forest, result, options), at_once);
    }
  }
}

void stops_when_the_path_stays() {
  const Forest forest = inner_ending();
  const SearchResult result = search(forest, {.num_simulations = 1000, .patience = 25});
  CHECK(result.num_simulations == Counts{50});
  CHECK(result.has_converged == std::vector<std::uint8_t>{1});
  const SearchResult same = continue_search(forest, result, {.patience = 25});
  CHECK(same.num_simulations == Counts{50});
  check_equal(forest, same, result);
  CHECK(continue_search(forest, result, {}).num_simulations == Counts{1050});
  CHECK(search(forest, {.num_simulations = 49, .patience = 25}).num_simulations == Counts{49});
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

void is_interrupted_within_a_tree() {
  struct Interrupt {};
  int num_polls = 0;
  const auto poll = [&] {
    if (++num_polls == 100) throw Interrupt{};
  };
  for (const std::int32_t num_threads : {1, 2}) {
    num_polls = 0;
    bool was_interrupted = false;
    try {
      search(star(some_returns(300, 2)), {.num_simulations = std::int64_t{1} << 50},
             {.num_threads = num_threads, .poll = poll});
    } catch (const Interrupt&) {
      was_interrupted = true;
    }
    CHECK(was_interrupted);
  }
}

void refuses_to_continue_another_search() {
  const Forest forest = inner_ending();
  const SearchResult earlier = search(forest, {});
  CHECK_REFUSED(continue_search(inner_ending(), earlier, {}),
                "resume is the result of another forest");
  CHECK_REFUSED(continue_search(forest, earlier, {.exploration = 1}),
                "exploration=1; resume was searched with 1.41");
  CHECK_REFUSED(continue_search(forest, earlier, {.return_scale = 2}),
                "return_scale=2; resume was searched with 1");
  CHECK_REFUSED(continue_search(forest, earlier, {.stop_arm = false}),
                "stop_arm differs from that of resume");
  CHECK_REFUSED(continue_search(forest, earlier, {.backup = Backup::kMax}),
                "backup differs from that of resume");
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

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({stops_where_stopping_is_best,
              finds_a_success_behind_endings,
              knows_stop_after_one_visit,
              scales_the_bonus_with_the_returns,
              takes_unvisited_arms_in_order,
              breaks_ties_by_the_first_arm,
              represents_an_ending_by_its_best_trajectory,
              walks_on_where_nothing_was_visited,
              handles_trees_without_steps_or_trajectories,
              does_not_depend_on_threads,
              decides_among_few_and_many_arms,
              notices_when_arms_overtake,
              decides_near_ties_exactly,
              counts_beyond_the_table,
              continues_where_it_stopped,
              stops_when_the_path_stays,
              gives_distinct_paths,
              is_interrupted_within_a_tree,
              refuses_to_continue_another_search,
              refuses_bad_options});
}
