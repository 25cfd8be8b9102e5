// Selections without enumeration. Every chain gets a quota, how many of its pairs to keep:
//
//   pairs of a chain          4   0   9   1      one tree
//   per_divergence = 3        3   0   3   1
//   max_per_task = 5          2   0   3   0      5 of these 7, drawn; how many fell on each
//
// and then that many of its ranks are drawn. That is the same as drawing the pairs themselves at
// each step: a random part of a random part is a random part of the whole.
#include <algorithm>
#include <atomic>
#include <limits>
#include <numeric>

#include "base/parallel.hpp"
#include "base/random.hpp"
#include "pairs/divergence_sweep.hpp"
#include "pairs/pair_counts.hpp"
#include "pairs/pair_table.hpp"
#include "pairs/small_tree.hpp"
#include "w2stree/base/errors.hpp"
#include "w2stree/pairs/pairs.hpp"

namespace w2stree {
namespace {

// Which of its pairs a divergence gives to fill its quota.
enum class Choice {
  all,         // the quota is their number
  best_worst,  // the one
  random,
};

// `count` distinct numbers below `total`, ascending. Draws again until there are enough: no
// number is treated differently from another, so every set is equally likely.
std::vector<std::int64_t> draw_few(std::int64_t total, std::int64_t count, Random& random,
                                   Watch& watch) {
  std::vector<std::int64_t> drawn;
  drawn.reserve(static_cast<std::size_t>(count));
  while (std::ssize(drawn) < count) {
    const auto kept = std::ssize(drawn);
    while (std::ssize(drawn) < count) {
      drawn.push_back(random.below(total));
      watch.check();
    }
    std::sort(drawn.begin() + kept, drawn.end());
    std::inplace_merge(drawn.begin(), drawn.begin() + kept, drawn.end());
    drawn.erase(std::unique(drawn.begin(), drawn.end()), drawn.end());
  }
  return drawn;
}

// Likewise, for any count <= total: more than half are drawn by what is left out.
std::vector<std::int64_t> draw(std::int64_t total, std::int64_t count, Random& random,
                               Watch& watch) {
  if (count <= total / 2) return draw_few(total, count, random, watch);
  const std::vector<std::int64_t> left_out = draw_few(total, total - count, random, watch);
  std::vector<std::int64_t> drawn;
  drawn.reserve(static_cast<std::size_t>(count));
  auto skipped = left_out.begin();
  for (std::int64_t number = 0; number < total; ++number) {
    if (skipped != left_out.end() && *skipped == number) {
      ++skipped;
    } else {
      drawn.push_back(number);
    }
  }
  return drawn;
}

std::int64_t sum(std::span<const std::int64_t> quota) {
  return std::reduce(quota.begin(), quota.end(), std::int64_t{0});
}

// Lowers the quotas to a sum of at most `limit`: that many of the pairs they stand for, drawn.
void thin(std::span<std::int64_t> quota, std::int64_t limit, Random& random, Watch& watch) {
  const std::int64_t total = sum(quota);
  if (total <= limit) return;
  const std::vector<std::int64_t> kept = draw(total, limit, random, watch);
  auto next = kept.begin();
  std::int64_t end = 0;
  for (std::int64_t& own : quota) {
    end += own;
    const auto first = next;
    while (next != kept.end() && *next < end) ++next;
    own = next - first;
  }
}

void check_limit(const char* name, std::optional<std::int64_t> limit) {
  if (limit && *limit < 1) refuse(name, "=", *limit, "; expected at least 1");
}

void check_keys(const Forest& forest, std::span<const std::uint64_t> tree_key) {
  if (!tree_key.empty() && tree_key.size() != at(num_trees(forest))) {
    refuse("tree_key has ", tree_key.size(), " items for ", num_trees(forest), " trees");
  }
}

// [num_trees + 1] where each tree's pairs begin; the last is their number.
std::vector<std::int64_t> first_pairs(const Forest& forest, std::span<const std::int64_t> quota,
                                      std::int64_t max_per_task) {
  std::vector<std::int64_t> first = {0};
  for (std::int32_t tree = 0; tree < num_trees(forest); ++tree) {
    const std::int32_t begin = forest.root_chain[at(tree)];
    const std::int32_t end = forest.root_chain[at(tree) + 1];
    const std::int64_t own = sum(quota.subspan(at(begin), at(end - begin)));
    first.push_back(first.back() + std::min(own, max_per_task));
  }
  return first;
}

// Writes a tree's pairs by their quotas, with memory for one worker.
class TreeWriter {
 public:
  TreeWriter(const Forest& forest, const ReturnOrder& order, Choice choice)
      : forest_(&forest), sweep_(forest, order), small_tree_(forest, order), choice_(choice) {}

  void write(std::int32_t tree, std::span<const std::int64_t> quota, PairColumns out,
             Random& random, Watch& watch) {
    if (out.chosen.empty()) return;
    const std::int32_t root = forest_->root_chain[at(tree)];
    if (choice_ == Choice::all && SmallTree::holds(*forest_, tree)) {
      return small_tree_.write(tree, out);
    }
    sweep_.enter(tree);
    for (std::size_t i = 0; i < quota.size(); ++i) {
      if (quota[i] == 0) continue;
      watch.check();
      sweep_.seek(root + static_cast<std::int32_t>(i));
      table_.load(*forest_, sweep_);
      out = write_divergence(quota[i], out, random, watch);
    }
  }

 private:
  // Returns what is left of `out`.
  PairColumns write_divergence(std::int64_t quota, PairColumns out, Random& random, Watch& watch) {
    if (quota == table_.size()) return write_all(quota, out, watch);
    if (choice_ == Choice::best_worst) return write_one(table_.best_worst(*forest_), out);
    for (const std::int64_t rank : draw(table_.size(), quota, random, watch)) {
      out = write_one(table_[rank], out);
    }
    return out;
  }

  PairColumns write_all(std::int64_t count, PairColumns out, Watch& watch) {
    constexpr std::int64_t kBlock = 65536;  // between two polls
    while (count > 0) {
      const auto size = static_cast<std::size_t>(std::min(count, kBlock));
      table_.write({out.divergence.first(size), out.chosen.first(size), out.rejected.first(size)});
      out = after(out, size);
      count -= kBlock;
      watch.check();
    }
    return out;
  }

  PairColumns write_one(const TrajectoryPair& pair, const PairColumns& out) {
    out.divergence.front() = table_.divergence();
    out.chosen.front() = pair.chosen;
    out.rejected.front() = pair.rejected;
    return after(out, 1);
  }

  static PairColumns after(const PairColumns& out, std::size_t size) {
    return {out.divergence.subspan(size), out.chosen.subspan(size), out.rejected.subspan(size)};
  }

  const Forest* forest_;
  DivergenceSweep sweep_;
  PairTable table_;
  SmallTree small_tree_;
  Choice choice_;
};

// The pairs that the quotas ask for, at most max_per_task of each tree.
Pairs take(const Forest& forest, const ReturnOrder& order, Choice choice,
           std::span<std::int64_t> quota, std::int64_t max_per_task, const Seed& seed,
           const Execution& execution) {
  const std::vector<std::int64_t> first = first_pairs(forest, quota, max_per_task);
  if (first.back() > kMaxPairs) {
    refuse(first.back(), " pairs are more than an array should hold (", kMaxPairs,
           "); stream_pairs gives them in chunks, sample_pairs some of them at random");
  }
  const auto num_pairs = static_cast<std::size_t>(first.back());
  Buffer<std::int32_t> divergence(num_pairs);
  Buffer<std::int32_t> chosen(num_pairs);
  Buffer<std::int32_t> rejected(num_pairs);
  std::vector<TreeWriter> writers(at(num_workers(num_trees(forest), execution)),
                                  TreeWriter(forest, order, choice));
  parallel_for(
      num_trees(forest), execution, [&](std::int32_t tree, std::int32_t worker, Watch& watch) {
        const std::int32_t begin = forest.root_chain[at(tree)];
        const std::int32_t end = forest.root_chain[at(tree) + 1];
        const auto own = quota.subspan(at(begin), at(end - begin));
        const auto part = [&](Buffer<std::int32_t>& column) {
          return std::span(column.begin() + first[at(tree)], column.begin() + first[at(tree) + 1]);
        };
        Random random(seed.number, seed.tree_key.empty() ? at(tree) : seed.tree_key[at(tree)]);
        thin(own, max_per_task, random, watch);
        writers[at(worker)].write(tree, own, {part(divergence), part(chosen), part(rejected)},
                                  random, watch);
      });
  return {std::move(divergence), std::move(chosen), std::move(rejected)};
}

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

}  // namespace

Pairs select_pairs(const Forest& forest, const PairRule& rule, const PairSelection& selection,
                   const Seed& seed, const Execution& execution) {
  check(rule);
  check_limit("per_divergence", selection.per_divergence);
  check_limit("max_per_task", selection.max_per_task);
  check_keys(forest, seed.tree_key);
  const ReturnOrder order(forest, rule);
  std::vector<std::int64_t> quota = count_pairs(forest, order, execution);
  const bool is_drawn = selection.per_divergence || selection.max_per_task;
  Choice choice = is_drawn ? Choice::random : Choice::all;
  std::int64_t per_divergence = selection.per_divergence.value_or(kUnlimited);
  if (selection.strategy == PairSelection::Strategy::best_worst) {
    choice = Choice::best_worst;
    per_divergence = 1;
  }
  for (std::int64_t& own : quota) own = std::min(own, per_divergence);
  return take(forest, order, choice, quota, selection.max_per_task.value_or(kUnlimited), seed,
              execution);
}

Pairs sample_pairs(const Forest& forest, const PairRule& rule, std::int64_t num_pairs,
                   std::uint64_t seed, const Execution& execution) {
  check(rule);
  if (num_pairs < 0) refuse("num_pairs=", num_pairs, "; expected at least 0");
  const ReturnOrder order(forest, rule);
  std::vector<std::int64_t> quota = count_pairs(forest, order, execution);
  if (std::min(num_pairs, sum(quota)) <= kMaxPairs) {  // else refused below
    const std::atomic<bool> never = false;
    Watch watch(never, execution.poll ? &execution.poll : nullptr);
    constexpr std::uint64_t kForestKey = 0xffff'ffff'ffff'ffff;  // no tree's number
    Random random(seed, kForestKey);
    thin(quota, num_pairs, random, watch);
  }
  return take(forest, order, Choice::random, quota, kUnlimited, {seed, {}}, execution);
}

}  // namespace w2stree
