#include "w2stree/pairs.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "w2stree/errors.hpp"

namespace w2stree {
namespace {

// A trajectory that goes on from a divergence, and how.
struct Continuation {
  std::int32_t trajectory;
  std::int32_t action_id;
  double total_return;
};

void check_min_gap(double min_gap) {
  if (!std::isfinite(min_gap) || min_gap < 0) {
    refuse("min_gap=", min_gap, "; expected a finite number >= 0");
  }
}

bool is_pair(double gap, double min_gap) {
  return gap > 0 && gap >= min_gap;
}

void collect_continuations(const Forest& forest, std::int32_t chain,
                           std::vector<Continuation>& continuations) {
  continuations.clear();
  for_each_child(forest, chain, [&](std::int32_t child) {
    for (const std::int32_t trajectory : trajectories_through(forest, child)) {
      continuations.push_back(
          {trajectory, first_action(forest, child), forest.total_return[at(trajectory)]});
    }
  });
}

// Ordered pairs of `ascending` (by return) with a sufficient gap, whatever their actions. The
// rounded difference never falls as the chosen return rises, so one sweep of two pointers
// counts exactly what the comparison of every two would; it stops at the chosen itself, gap 0.
std::int64_t count_gaps(std::span<const Continuation> ascending, double min_gap) {
  std::int64_t count = 0;
  std::size_t num_rejected = 0;
  for (const Continuation& chosen : ascending) {
    while (is_pair(chosen.total_return - ascending[num_rejected].total_return, min_gap)) {
      ++num_rejected;
    }
    count += static_cast<std::int64_t>(num_rejected);
  }
  return count;
}

// Pairs with different actions = all pairs - pairs within one action.
std::int64_t count_at(std::vector<Continuation>& continuations, double min_gap) {
  const auto by_return = [](const Continuation& left, const Continuation& right) {
    return left.total_return < right.total_return;
  };
  std::sort(continuations.begin(), continuations.end(), by_return);
  std::int64_t count = count_gaps(continuations, min_gap);
  std::stable_sort(continuations.begin(), continuations.end(),
                   [](const Continuation& left, const Continuation& right) {
                     return left.action_id < right.action_id;
                   });
  for (auto first = continuations.begin(); first != continuations.end();) {
    const auto last = std::find_if_not(first, continuations.end(), [&](const Continuation& other) {
      return other.action_id == first->action_id;
    });
    count -= count_gaps({first, last}, min_gap);
    first = last;
  }
  return count;
}

void append_pairs(std::int32_t node, std::vector<Continuation>& continuations, double min_gap,
                  Pairs& pairs) {
  std::sort(continuations.begin(), continuations.end(),
            [](const Continuation& left, const Continuation& right) {
              return left.trajectory < right.trajectory;
            });
  for (const Continuation& chosen : continuations) {
    for (const Continuation& rejected : continuations) {
      const double gap = chosen.total_return - rejected.total_return;
      if (chosen.action_id == rejected.action_id || !is_pair(gap, min_gap)) continue;
      pairs.divergence.push_back(node);
      pairs.chosen.push_back(chosen.trajectory);
      pairs.rejected.push_back(rejected.trajectory);
      pairs.gap.push_back(gap);
    }
  }
}

void reserve(Pairs& pairs, std::size_t count) {
  pairs.divergence.reserve(count);
  pairs.chosen.reserve(count);
  pairs.rejected.reserve(count);
  pairs.gap.reserve(count);
}

}  // namespace

std::vector<std::int64_t> count_pairs(const Forest& forest, double min_gap) {
  check_min_gap(min_gap);
  std::vector<std::int64_t> count(at(num_chains(forest)), 0);
  std::vector<Continuation> continuations;
  for (std::int32_t chain = 0; chain < num_chains(forest); ++chain) {
    if (!is_decision_divergence(forest, chain)) continue;
    collect_continuations(forest, chain, continuations);
    count[at(chain)] = count_at(continuations, min_gap);
  }
  return count;
}

Pairs enumerate_pairs(const Forest& forest, double min_gap) {
  const std::vector<std::int64_t> count = count_pairs(forest, min_gap);
  Pairs pairs;
  reserve(pairs, static_cast<std::size_t>(std::reduce(count.begin(), count.end())));
  std::vector<Continuation> continuations;
  for (std::int32_t chain = 0; chain < num_chains(forest); ++chain) {
    if (count[at(chain)] == 0) continue;
    collect_continuations(forest, chain, continuations);
    append_pairs(last_node(forest, chain), continuations, min_gap, pairs);
  }
  return pairs;
}

}  // namespace w2stree
