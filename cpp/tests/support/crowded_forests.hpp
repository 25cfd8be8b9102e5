// Forests with every kind of node and class of return, and their pairs as rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "support/episodes.hpp"
#include "w2stree/pairs/pairs.hpp"

namespace w2stree::test {

using Ids = std::vector<std::int32_t>;

inline bool equal(const Pairs& left, const Pairs& right) {
  return left.divergence == right.divergence && left.chosen == right.chosen &&
         left.rejected == right.rejected;
}

inline bool equal(const Column<std::int32_t>& column, const Ids& ids) {
  return std::ranges::equal(column, ids);
}

// Two trees with every kind of node, in which `num_trajectories` crowd.
inline Forest crowded_forest(int num_trajectories, int num_levels) {
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
inline std::vector<Forest> crowded_forests() {
  return {crowded_forest(12, 4), crowded_forest(60, 10), crowded_forest(60, 59),
          crowded_forest(300, 10), crowded_forest(300, 301)};
}

inline const std::vector<PairRule> kRules = {{},    {0.1},      {0.3},     {0.9},
                                             {2.0}, {0.0, 0.5}, {0.3, 0.7}};

// Every pair by definition, as (divergence, chosen, rejected), in ascending order of these.
inline std::vector<Ids> by_definition(const Forest& forest, const PairRule& rule) {
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

inline std::vector<Ids> rows(const Pairs& pairs) {
  std::vector<Ids> rows;
  for (std::size_t i = 0; i < pairs.chosen.size(); ++i) {
    rows.push_back({pairs.divergence[i], pairs.chosen[i], pairs.rejected[i]});
  }
  return rows;
}

// Distinct rows of `whole`, in its order.
inline bool is_part(const std::vector<Ids>& part, const std::vector<Ids>& whole) {
  auto next = whole.begin();
  for (const Ids& row : part) {
    next = std::find(next, whole.end(), row);
    if (next == whole.end()) return false;
    ++next;
  }
  return true;
}

}  // namespace w2stree::test
