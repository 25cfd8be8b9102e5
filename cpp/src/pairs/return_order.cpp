#include "pairs/return_order.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/keyed_hash.hpp"

namespace w2stree {
namespace {

bool is_pair(double chosen, double rejected, const PairRule& rule) {
  if (!(chosen > rejected + return_tolerance(rejected))) return false;
  if (!is_at_least(chosen, rejected + rule.min_gap)) return false;
  return !rule.success_threshold || (is_at_least(chosen, *rule.success_threshold) &&
                                     !is_at_least(rejected, *rule.success_threshold));
}

struct NumberedValue {
  double value;
  std::int32_t number;
};

// Numbers distinct values by first appearance: open addressing, at most half full.
class DistinctValues {
 public:
  std::int32_t number(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value + 0.0);  // -0.0 is 0.0
    std::size_t slot = hash_words(bits, 0) >> shift_;
    while (slots_[slot] != kNone && bits_[at(slots_[slot])] != bits) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    if (slots_[slot] != kNone) return slots_[slot];
    const auto number = static_cast<std::int32_t>(bits_.size());
    slots_[slot] = number;
    bits_.push_back(bits);
    if (bits_.size() * 2 > slots_.size()) grow();
    return number;
  }

  std::vector<NumberedValue> ascending() const {
    std::vector<NumberedValue> ascending;
    for (const std::uint64_t bits : bits_) {
      const auto number = static_cast<std::int32_t>(ascending.size());
      ascending.push_back({std::bit_cast<double>(bits), number});
    }
    std::ranges::sort(ascending, {}, &NumberedValue::value);
    return ascending;
  }

 private:
  void grow() {
    --shift_;
    slots_.assign(slots_.size() * 2, kNone);
    for (std::size_t i = 0; i < bits_.size(); ++i) {
      std::size_t slot = hash_words(bits_[i], 0) >> shift_;
      while (slots_[slot] != kNone) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = static_cast<std::int32_t>(i);
    }
  }

  int shift_ = 64 - 8;
  std::vector<std::int32_t> slots_ = std::vector<std::int32_t>(256, kNone);
  std::vector<std::uint64_t> bits_;
};

struct Levels {
  std::vector<double> value;                // ascending
  std::vector<std::int32_t> of_trajectory;  // [num_trajectories]
};

Levels find_levels(std::span<const double> total_return) {
  DistinctValues distinct;
  Levels levels;
  levels.of_trajectory.reserve(total_return.size());
  for (const double value : total_return) levels.of_trajectory.push_back(distinct.number(value));
  const std::vector<NumberedValue> ascending = distinct.ascending();
  std::vector<std::int32_t> level(ascending.size());
  for (const auto& [value, number] : ascending) {
    level[at(number)] = static_cast<std::int32_t>(levels.value.size());
    levels.value.push_back(value);
  }
  for (std::int32_t& own : levels.of_trajectory) own = level[at(own)];
  return levels;
}

// Trajectories by level, ties by index: a counting sort.
std::vector<std::int32_t> sort_by_level(const Levels& levels) {
  std::vector<std::int32_t> next(levels.value.size() + 1, 0);
  for (const std::int32_t level : levels.of_trajectory) ++next[at(level) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<std::int32_t> sorted(levels.of_trajectory.size());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    sorted[at(next[at(levels.of_trajectory[i])]++)] = static_cast<std::int32_t>(i);
  }
  return sorted;
}

// Deals trajectories out to their trees, in the order given.
std::vector<Ranked> deal_out(const Forest& forest, std::span<const std::int32_t> sorted,
                             const Levels& levels) {
  struct Place {
    std::int32_t position;
    std::int32_t tree;
  };
  std::vector<Place> place(sorted.size());
  std::vector<std::int32_t> next(at(num_trees(forest)));
  std::int32_t position = 0;
  for (std::int32_t tree = 0; tree < num_trees(forest); ++tree) {
    next[at(tree)] = position;
    for (const std::int32_t trajectory :
         trajectories_through(forest, forest.root_chain[at(tree)])) {
      place[at(trajectory)] = {position++, tree};
    }
  }
  std::vector<Ranked> ascending(sorted.size());
  for (const std::int32_t trajectory : sorted) {
    const auto [own, tree] = place[at(trajectory)];
    ascending[at(next[at(tree)]++)] = {own, levels.of_trajectory[at(trajectory)]};
  }
  return ascending;
}

}  // namespace

ReturnOrder::ReturnOrder(const Forest& forest, const PairRule& rule) {
  const Levels levels = find_levels(forest.total_return);
  ascending = deal_out(forest, sort_by_level(levels), levels);
  num_beaten = find_beaten(levels.value, rule);
}

std::vector<std::int32_t> find_beaten(std::span<const double> level, const PairRule& rule) {
  std::vector<std::int32_t> num_beaten;
  num_beaten.reserve(level.size());
  std::int32_t beaten = 0;
  for (const double chosen : level) {
    while (is_pair(chosen, level[at(beaten)], rule)) ++beaten;  // stops at `chosen`: equal
    num_beaten.push_back(beaten);
  }
  return num_beaten;
}

}  // namespace w2stree
