#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>

#include "support/check.hpp"
#include "support/episodes.hpp"
#include "w2stree/pairs/pair_stream.hpp"
#include "w2stree/pairs/pairs.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;
using Strategy = PairSelection::Strategy;

bool equal(const Pairs& left, const Pairs& right) {
  return left.divergence == right.divergence && left.chosen == right.chosen &&
         left.rejected == right.rejected;
}

bool equal(const Column<std::int32_t>& column, const Ids& ids) {
  return std::ranges::equal(column, ids);
}

// Two trees with every kind of node, in which `num_trajectories` crowd.
Forest crowded_forest(int num_trajectories, int num_levels) {
  Episodes episodes;
  for (int i = 0; i < num_trajectories; ++i) {
    const char steps[] = {static_cast<char>((i % 2 ? 'A' : 'a') + i % 3),
                          static_cast<char>((i % 7 ? 'a' : 'A') + i % 5), '\0'};
    const std::string_view taken = std::string_view(steps).substr(0, i % 11 == 0 ? 1 : 2);
    episodes.add(i % 3 == 0, taken, (i * 7919 % num_levels) / 10.0);
  }
  return build_forest(episodes.columns());
}

// For each way to count and to write: few or many classes of return, small or large trees.
std::vector<Forest> crowded_forests() {
  return {crowded_forest(12, 4), crowded_forest(60, 10), crowded_forest(60, 59),
          crowded_forest(300, 10), crowded_forest(300, 301)};
}

const std::vector<PairRule> kRules = {{}, {0.1}, {0.3}, {0.9}, {2.0}, {0.0, 0.5}, {0.3, 0.7}};

// Every pair by definition, as (divergence, chosen, rejected), in ascending order of these.
std::vector<Ids> by_definition(const Forest& forest, const PairRule& rule) {
  std::vector<Ids> found;
  for (std::int32_t chain = 0; chain < num_chains(forest); ++chain) {
    for_each_child(forest, chain, [&](std::int32_t one) {
      for_each_child(forest, chain, [&](std::int32_t other) {
        if (first_action(forest, one) == first_action(forest, other)) return;
        for (const std::int32_t chosen : trajectories_through(forest, one)) {
          for (const std::int32_t rejected : trajectories_through(forest, other)) {
            const double better = forest.total_return[at(chosen)];
            const double worse = forest.total_return[at(rejected)];
            constexpr double kRounding = 1e-9;  // returns are below 1,000 here
            if (!(better > worse + kRounding)) continue;
            if (better < worse + rule.min_gap - kRounding) continue;
            const double threshold = rule.success_threshold.value_or(better) - kRounding;
            if (better >= threshold && worse < threshold)
              found.push_back({last_node(forest, chain), chosen, rejected});
          }
        }
      });
    });
  }
  std::ranges::sort(found);
  return found;
}

std::vector<Ids> rows(const Pairs& pairs) {
  std::vector<Ids> rows;
  for (std::size_t i = 0; i < pairs.chosen.size(); ++i) {
    rows.push_back({pairs.divergence[i], pairs.chosen[i], pairs.rejected[i]});
  }
  return rows;
}

// Distinct rows of `whole`, in its order.
bool is_part(const std::vector<Ids>& part, const std::vector<Ids>& whole) {
  auto next = whole.begin();
  for (const Ids& row : part) {
    next = std::find(next, whole.end(), row);
    if (next == whole.end()) return false;
    ++next;
  }
  return true;
}

void pairs_different_actions_only() {
  // At the root a/A are one action (luck): only b against them makes pairs.
  const Forest forest =
      build_forest(Episodes().add(0, "a", 0.0).add(0, "A", 1.0).add(0, "b", 0.5).columns());
  const Pairs pairs = enumerate_pairs(forest, {});
  CHECK(equal(pairs.divergence, {0, 0}));
  CHECK(equal(pairs.chosen, {1, 2}));
  CHECK(equal(pairs.rejected, {2, 0}));
}

void leaves_out_trajectories_that_end_there() {
  const Forest forest =
      build_forest(Episodes().add(0, "a", 1.0).add(0, "ab", 0.0).add(0, "ac", 0.5).columns());
  const Pairs pairs = enumerate_pairs(forest, {});
  CHECK(equal(pairs.divergence, {1}));
  CHECK(equal(pairs.chosen, {2}));
  CHECK(equal(pairs.rejected, {1}));
}

void orders_by_divergence_chosen_rejected() {
  // Actions a, b; chosen by action, return, index; rejected by return, index.
  const Forest forest = build_forest(Episodes()
                                         .add(0, "a", 0.25)
                                         .add(0, "b", 0.5)
                                         .add(0, "ac", 1.0)
                                         .add(0, "b", 0.25)
                                         .add(0, "ad", 0.0)
                                         .add(0, "b", 0.25)
                                         .columns());
  const Pairs pairs = enumerate_pairs(forest, {});
  CHECK(equal(pairs.divergence, {0, 0, 0, 0, 0, 0, 0, 1}));
  CHECK(equal(pairs.chosen, {2, 2, 2, 3, 5, 1, 1, 2}));
  CHECK(equal(pairs.rejected, {3, 5, 1, 4, 4, 4, 0, 4}));
}

void takes_the_two_zeros_for_one_return() {
  const Forest forest = build_forest(Episodes()
                                         .add(0, "a", 0.0)
                                         .add(0, "b", -0.0)
                                         .add(0, "b", 0.0)
                                         .add(0, "b", -0.0)
                                         .add(0, "a", 1.0)
                                         .columns());
  const Pairs pairs = enumerate_pairs(forest, {});
  CHECK(equal(pairs.chosen, {4, 4, 4}));
  CHECK(equal(pairs.rejected, {1, 2, 3}));
}

void respects_the_rule() {
  const Forest forest = build_forest(Episodes()
                                         .add(0, "a", 1.0)
                                         .add(0, "b", 0.5)
                                         .add(0, "c", 0.5)
                                         .add(0, "d", -0.0)
                                         .add(0, "e", 0.0)
                                         .columns());
  const auto num_pairs = [&](const PairRule& rule) {
    return enumerate_pairs(forest, rule).chosen.size();
  };
  CHECK(num_pairs({}) == 8);     // equal returns, 0 and -0 among them, give no pair
  CHECK(num_pairs({0.5}) == 8);  // inclusive
  CHECK(num_pairs({0.75}) == 2);
  CHECK(num_pairs({0.0, 1.0}) == 4);
  CHECK(num_pairs({0.75, 1.0}) == 2);
  CHECK(num_pairs({0.0, 0.5}) == 6);  // a return at the threshold is a success
  CHECK(num_pairs({0.0, 2.0}) == 0);
}

// As decimals are written; in doubles 0.3 - 0.2 < 0.1 and ten times 0.1 < 1.
void takes_rounding_for_equality() {
  double tenths = 0.0;
  for (int i = 0; i < 10; ++i) tenths += 0.1;
  const Forest forest =
      build_forest(Episodes().add(0, "a", 0.3).add(0, "b", 0.2).add(0, "c", 0.1 + 0.2).columns());
  CHECK(count_pairs(forest, {})[0] == 2);
  CHECK(count_pairs(forest, {0.1})[0] == 2);
  CHECK(count_pairs(forest, {0.1000001})[0] == 0);
  CHECK(count_pairs(forest, {0.0, 0.3})[0] == 2);
  const Forest sums = build_forest(Episodes().add(0, "a", tenths).add(0, "b", 0.9).columns());
  CHECK(count_pairs(sums, {0.1, 1.0})[0] == 1);
}

// What a return beats is what lies below a bound, and bounds never fall: at every size of return.
void beats_all_below_what_it_beats() {
  std::vector<double> level = {0.0, 1e-9, 5e-10, 999.9999999995, 1000.0, 1e15, 1e15 + 0.5, 1e300};
  for (double value : {0.1, 0.3, 1.0, 1000.0, 12345.678, 1e12, 1e15}) {
    for (int i = 0; i < 2000; ++i) level.push_back(value = std::nextafter(value, 1e308));
  }
  for (std::size_t i = 0, size = level.size(); i < size; ++i) level.push_back(-level[i]);
  std::ranges::sort(level);
  const auto end = std::ranges::unique(level).begin();
  level.erase(end, level.end());
  for (const double min_gap : {0.0, 1e-9, 0.1, 0.7, 1000.0, 1e12}) {
    double bound = -std::numeric_limits<double>::infinity();
    double target = bound;
    for (const double rejected : level) {
      const double differs = rejected + return_tolerance(rejected);
      const double enough = rejected + min_gap - return_tolerance(rejected + min_gap);
      CHECK(differs >= bound && enough >= target);
      bound = differs;
      target = enough;
    }
  }
}

void keeps_gaps_that_overflow() {
  const double huge = std::numeric_limits<double>::max();
  const Forest forest =
      build_forest(Episodes().add(0, "a", huge).add(0, "b", -huge).add(0, "c", 0.0).columns());
  CHECK(enumerate_pairs(forest, {}).chosen.size() == 3);
  CHECK(enumerate_pairs(forest, {huge}).chosen.size() == 3);
}

void counts_and_lists_what_the_definition_says() {
  for (const Forest& forest : crowded_forests()) {
    for (const PairRule& rule : kRules) {
      std::vector<Ids> found = rows(enumerate_pairs(forest, rule));
      std::ranges::sort(found);
      CHECK(found == by_definition(forest, rule));
      const std::vector<std::int64_t> count = count_pairs(forest, rule);
      std::vector<std::int64_t> expected(count.size(), 0);
      for (const Ids& row : found) ++expected[at(chain_of(forest, row[0]))];
      CHECK(count == expected);
    }
  }
}

std::vector<Ids> streamed(const Forest& forest, const PairRule& rule, std::size_t size) {
  PairStream stream(forest, rule);
  std::vector<std::int32_t> divergence(size), chosen(size), rejected(size);
  std::vector<Ids> found;
  std::size_t written = 0;
  do {
    written = stream.next({divergence, chosen, rejected});
    for (std::size_t i = 0; i < written; ++i)
      found.push_back({divergence[i], chosen[i], rejected[i]});
  } while (written == size);
  CHECK(stream.next({divergence, chosen, rejected}) == 0);  // and stays at the end
  return found;
}

void streams_the_same_in_any_chunks() {
  for (const Forest& forest : crowded_forests()) {
    for (const std::size_t size : {1, 2, 3, 7, 64, 1000, 1000000})
      CHECK(streamed(forest, {}, size) == rows(enumerate_pairs(forest, {})));
    for (const PairRule& rule : kRules)
      CHECK(streamed(forest, rule, 100) == rows(enumerate_pairs(forest, rule)));
  }
}

void numbers_the_pairs_as_it_lists_them() {
  for (const Forest& forest : crowded_forests()) {
    const std::vector<Ids> all = rows(enumerate_pairs(forest, {}));
    const auto total = static_cast<std::int64_t>(all.size());
    CHECK(rows(sample_pairs(forest, {}, total + 1, 1)) == all);
    CHECK(is_part(rows(sample_pairs(forest, {}, total - 1, 1)), all));
  }
}

void picks_the_best_against_the_worst() {
  // Two chosen and, after rounding, three rejected ones give the gap 1; so the lowest of each.
  const Forest forest = build_forest(Episodes()
                                         .add(0, "a", 1.0)
                                         .add(0, "b", 1e-20)
                                         .add(0, "b", 0.0)
                                         .add(0, "b", 1.0)
                                         .add(0, "c", 0.0)
                                         .columns());
  const PairSelection best_worst{Strategy::best_worst, {}, {}};
  const Pairs pairs = select_pairs(forest, {}, best_worst, {});
  CHECK(equal(pairs.divergence, {0}));
  CHECK(equal(pairs.chosen, {0}));
  CHECK(equal(pairs.rejected, {1}));

  // The lowest chosen index, not the first in order.
  const Forest other = build_forest(
      Episodes().add(0, "a", 0.5).add(0, "b", 1.0).add(0, "a", 1.0).add(0, "c", 0.0).columns());
  CHECK(equal(select_pairs(other, {}, best_worst, {}).chosen, {1}));
}

void draws_distinct_pairs_in_order() {
  for (const Forest& forest : crowded_forests()) {
    const std::vector<Ids> all = rows(enumerate_pairs(forest, {}));
    const auto total = static_cast<std::int64_t>(all.size());
    for (const std::int64_t num_pairs :
         {std::int64_t{0}, std::int64_t{1}, total / 3, total / 2, total - 1, total, total + 1}) {
      const std::vector<Ids> drawn = rows(sample_pairs(forest, {}, num_pairs, 7));
      CHECK(std::ssize(drawn) == std::min(num_pairs, total));
      CHECK(is_part(drawn, all));
    }
  }
}

// Pearson's chi-square of `counts` against equal expectations, for about `counts.size()` degrees
// of freedom, stays below mean + 5 standard deviations (mean k, variance 2k).
bool is_uniform(const std::vector<int>& counts, double num_draws) {
  const auto size = static_cast<double>(counts.size());
  const double expected = num_draws / size;
  double chi_square = 0.0;
  for (const int count : counts) chi_square += (count - expected) * (count - expected) / expected;
  return chi_square < size + 5 * std::sqrt(2 * size);
}

void draws_every_pair_equally_often() {
  const Forest forest = crowded_forest(30, 10);
  const std::vector<Ids> all = rows(enumerate_pairs(forest, {}));
  constexpr int kNumSamples = 2000;
  for (const std::int64_t num_pairs : {1, 20}) {
    std::vector<int> counts(all.size(), 0);
    for (std::uint64_t seed = 0; seed < kNumSamples; ++seed) {
      for (const Ids& row : rows(sample_pairs(forest, {}, num_pairs, seed)))
        ++counts[static_cast<std::size_t>(std::ranges::find(all, row) - all.begin())];
    }
    CHECK(is_uniform(counts, kNumSamples * static_cast<double>(num_pairs)));
  }
}

void draws_every_set_equally_often() {
  // Six pairs: 15 sets of two, and as many of four, which are drawn by what is left out.
  Episodes episodes;
  for (const char* action : {"a", "b", "c", "d"}) episodes.add(0, action, *action);
  const Forest forest = build_forest(episodes.columns());
  for (const std::int64_t num_pairs : {2, 4}) {
    std::map<std::vector<Ids>, int> sets;
    constexpr int kNumSamples = 3000;
    for (std::uint64_t seed = 0; seed < kNumSamples; ++seed)
      ++sets[rows(sample_pairs(forest, {}, num_pairs, seed))];
    std::vector<int> counts;
    for (const auto& [_, count] : sets) counts.push_back(count);
    CHECK(counts.size() == 15);
    CHECK(is_uniform(counts, kNumSamples));
  }
}

void draws_within_limits_equally_often() {
  // Whatever was drawn per divergence first, the pairs of one divergence stay equally likely.
  const Forest forest = crowded_forest(30, 10);
  const std::vector<Ids> all = rows(enumerate_pairs(forest, {}));
  const std::int32_t node = all.front()[0];
  std::vector<int> counts(
      static_cast<std::size_t>(std::ranges::count(all, node, [](const Ids& r) { return r[0]; })));
  double num_draws = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const Pairs pairs = select_pairs(forest, {}, {Strategy::all, 5, 9}, {seed, {}});
    for (const Ids& row : rows(pairs)) {
      if (row[0] != node) continue;
      ++counts[static_cast<std::size_t>(std::ranges::find(all, row) - all.begin())];
      ++num_draws;
    }
  }
  CHECK(is_uniform(counts, num_draws));
}

void draws_the_same_on_every_platform() {
  // Golden: whoever changes this changes what published seeds stand for.
  const Pairs drawn = sample_pairs(crowded_forest(60, 10), {}, 5, 20250718);
  CHECK(rows(drawn) ==
        std::vector<Ids>{{0, 46, 20}, {0, 31, 53}, {0, 47, 49}, {0, 53, 28}, {1, 25, 19}});
}

void threads_do_not_change_the_result() {
  const PairSelection selection{Strategy::all, 20, 50};
  for (const Forest& forest : crowded_forests()) {
    for (const std::int32_t num_threads : {2, 3, 8}) {
      const Execution execution{num_threads, {}};
      CHECK(count_pairs(forest, {}, execution) == count_pairs(forest, {}));
      CHECK(equal(enumerate_pairs(forest, {}, execution), enumerate_pairs(forest, {})));
      CHECK(equal(sample_pairs(forest, {}, 99, 1, execution), sample_pairs(forest, {}, 99, 1)));
      CHECK(equal(select_pairs(forest, {}, selection, {1, {}}, execution),
                  select_pairs(forest, {}, selection, {1, {}})));
    }
  }
}

void ends_early_when_the_poll_throws() {
  struct Interrupt {};
  Episodes episodes;
  for (int i = 0; i < 4000; ++i) episodes.add(0, i % 2 ? "a" : "b", i);
  const Forest forest = build_forest(episodes.columns());
  try {
    enumerate_pairs(forest, {}, {1, [] { throw Interrupt{}; }});
    CHECK(!"interrupted");
  } catch (const Interrupt&) {
  }
}

void refuses_bad_options() {
  const Forest forest = build_forest(Episodes().add(0, "a", 1.0).columns());
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_REFUSED(enumerate_pairs(forest, {-0.5}), "min_gap=-0.5; expected a finite number >= 0");
  CHECK_REFUSED(count_pairs(forest, {infinity}), "min_gap=inf; expected a finite number >= 0");
  CHECK_REFUSED(PairStream(forest, {nan}), "min_gap=nan; expected a finite number >= 0");
  CHECK_REFUSED(count_pairs(forest, {0.0, nan}), "success_threshold=nan; expected a finite number");
  CHECK_REFUSED(sample_pairs(forest, {}, -1, 0), "num_pairs=-1; expected at least 0");
  CHECK_REFUSED(select_pairs(forest, {}, {Strategy::all, 0, {}}, {}),
                "per_divergence=0; expected at least 1");
  CHECK_REFUSED(select_pairs(forest, {}, {Strategy::all, {}, -2}, {}),
                "max_per_task=-2; expected at least 1");
  const std::vector<std::uint64_t> keys(2);
  CHECK_REFUSED(select_pairs(forest, {}, {}, {0, keys}), "tree_key has 2 items for 1 trees");
}

void refuses_more_pairs_than_memory() {
  Episodes episodes;
  for (int i = 0; i < 100000; ++i) episodes.add(0, i % 2 ? "a" : "b", i % 2);
  const Forest forest = build_forest(episodes.columns());
  const std::string message =
      "2500000000 pairs are more than an array should hold (2147483647); stream_pairs gives them "
      "in chunks, sample_pairs some of them at random";
  CHECK_REFUSED(enumerate_pairs(forest, {}), message);
  CHECK_REFUSED(sample_pairs(forest, {}, 2500000001, 1), message);
  CHECK(sample_pairs(forest, {}, 10, 1).chosen.size() == 10);
  CHECK(select_pairs(forest, {}, {Strategy::all, {}, 10}, {}).chosen.size() == 10);
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({pairs_different_actions_only,
              leaves_out_trajectories_that_end_there,
              orders_by_divergence_chosen_rejected,
              takes_the_two_zeros_for_one_return,
              respects_the_rule,
              takes_rounding_for_equality,
              beats_all_below_what_it_beats,
              keeps_gaps_that_overflow,
              counts_and_lists_what_the_definition_says,
              streams_the_same_in_any_chunks,
              numbers_the_pairs_as_it_lists_them,
              picks_the_best_against_the_worst,
              draws_distinct_pairs_in_order,
              draws_every_pair_equally_often,
              draws_every_set_equally_often,
              draws_within_limits_equally_often,
              draws_the_same_on_every_platform,
              threads_do_not_change_the_result,
              ends_early_when_the_poll_throws,
              refuses_bad_options,
              refuses_more_pairs_than_memory});
}
