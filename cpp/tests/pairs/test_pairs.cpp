#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "support/check.hpp"
#include "support/crowded_forests.hpp"
#include "support/episodes.hpp"
#include "w2stree/pairs/pair_stream.hpp"
#include "w2stree/pairs/pairs.hpp"

namespace w2stree::test {
namespace {

using Strategy = PairSelection::Strategy;

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
  return run({pairs_different_actions_only, leaves_out_trajectories_that_end_there,
              orders_by_divergence_chosen_rejected, takes_the_two_zeros_for_one_return,
              respects_the_rule, takes_rounding_for_equality, beats_all_below_what_it_beats,
              keeps_gaps_that_overflow, counts_and_lists_what_the_definition_says,
              threads_do_not_change_the_result, ends_early_when_the_poll_throws,
              refuses_bad_options, refuses_more_pairs_than_memory});
}
