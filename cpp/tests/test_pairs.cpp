#include <limits>

#include "check.hpp"
#include "episodes.hpp"
#include "w2stree/pairs.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;

void pairs_different_actions_only() {
  // At the root a/A are one action (luck): only b against them makes pairs.
  const Forest forest =
      build_forest(Episodes().add(0, "a", 0.0).add(0, "A", 1.0).add(0, "b", 0.5).columns());
  const Pairs pairs = enumerate_pairs(forest, 0.0);
  CHECK(pairs.divergence == Ids{0, 0});
  CHECK(pairs.chosen == Ids{1, 2});
  CHECK(pairs.rejected == Ids{2, 0});
  CHECK(pairs.gap == std::vector<double>{0.5, 0.5});
}

void leaves_out_trajectories_that_end_there() {
  const Forest forest =
      build_forest(Episodes().add(0, "a", 1.0).add(0, "ab", 0.0).add(0, "ac", 0.5).columns());
  const Pairs pairs = enumerate_pairs(forest, 0.0);
  CHECK(pairs.divergence == Ids{1});
  CHECK(pairs.chosen == Ids{2});
  CHECK(pairs.rejected == Ids{1});
}

void orders_by_divergence_chosen_rejected() {
  // Input order differs from the order of children, whose slices interleave.
  const Forest forest = build_forest(Episodes()
                                         .add(0, "a", 0.25)
                                         .add(0, "b", 0.5)
                                         .add(0, "ac", 1.0)
                                         .add(0, "b", 0.25)
                                         .add(0, "ad", 0.0)
                                         .columns());
  const Pairs pairs = enumerate_pairs(forest, 0.0);
  CHECK(pairs.divergence == Ids{0, 0, 0, 0, 0, 1});
  CHECK(pairs.chosen == Ids{1, 1, 2, 2, 3, 2});
  CHECK(pairs.rejected == Ids{0, 4, 1, 3, 4, 4});
}

void respects_min_gap() {
  const Forest forest =
      build_forest(Episodes().add(0, "a", 1.0).add(0, "b", 0.5).add(0, "c", 0.5).columns());
  CHECK(enumerate_pairs(forest, 0.0).gap.size() == 2);  // equal returns give no pair
  CHECK(enumerate_pairs(forest, 0.5).gap.size() == 2);  // inclusive
  CHECK(enumerate_pairs(forest, 0.75).gap.empty());
}

void counts_without_enumerating() {
  Episodes episodes;
  for (int i = 0; i < 60; ++i) {
    const char steps[] = {static_cast<char>((i % 2 ? 'A' : 'a') + i % 3), 'b', '\0'};
    episodes.add(i % 2, steps, (i * 7 % 10) / 10.0);
  }
  const Forest forest = build_forest(episodes.columns());
  for (const double min_gap : {0.0, 0.1, 0.3, 0.9, 2.0}) {
    const std::vector<std::int64_t> count = count_pairs(forest, min_gap);
    std::vector<std::int64_t> expected(count.size(), 0);
    for (const std::int32_t node : enumerate_pairs(forest, min_gap).divergence)
      ++expected[at(chain_of(forest, node))];
    CHECK(count == expected);
  }
}

void refuses_bad_gaps() {
  const Forest forest = build_forest(Episodes().add(0, "a", 1.0).columns());
  CHECK_REFUSED(enumerate_pairs(forest, -0.5), "min_gap=-0.5; expected a finite number >= 0");
  CHECK_REFUSED(count_pairs(forest, std::numeric_limits<double>::infinity()),
                "min_gap=inf; expected a finite number >= 0");
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({pairs_different_actions_only, leaves_out_trajectories_that_end_there,
              orders_by_divergence_chosen_rejected, respects_min_gap, counts_without_enumerating,
              refuses_bad_gaps});
}
