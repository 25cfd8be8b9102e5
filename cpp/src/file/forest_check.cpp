#include "file/forest_check.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <mutex>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "base/parallel.hpp"

namespace w2stree {
namespace {

using Defect = std::optional<ForestDefect>;

// Wraps instead of overflowing, whatever a hostile file holds.
std::uint32_t wrap(std::int32_t value) {
  return static_cast<std::uint32_t>(value);
}

bool is_below(std::int32_t value, std::int32_t end) {
  return wrap(value) < wrap(end);
}

// Rules are evaluated without branches, a bit for each that is broken, and looked up by bit only
// when some bit was set.
struct Rule {
  std::string_view column;
  std::string_view expected;
};

std::uint32_t broken_if(bool is_broken, int rule) {
  return static_cast<std::uint32_t>(is_broken) << rule;
}

// Visits i in [begin, end): rules(i) says which are broken. Two sweeps, the second one only to
// find the place; `reset` makes them see the same.
template <class Rules, class Reset>
Defect sweep(std::int32_t begin, std::int32_t end, std::span<const Rule> names, Reset reset,
             Rules rules) {
  reset();
  std::uint32_t broken = 0;
  for (std::int32_t i = begin; i < end; ++i) broken |= rules(i);
  if (broken == 0) return std::nullopt;
  reset();
  for (std::int32_t i = begin; i < end; ++i) {
    if (const std::uint32_t here = rules(i); here != 0) {
      const Rule& rule = names[static_cast<std::size_t>(std::countr_zero(here))];
      return ForestDefect{rule.column, at(i), rule.expected};
    }
  }
  return std::nullopt;
}

// One tree: chains [begin_, end_), every rule in four sweeps. Later ones trust what earlier ones
// have proved.
class TreeCheck {
 public:
  explicit TreeCheck(const Forest& forest) : forest_(forest), chains_(forest.chains) {}

  Defect run(std::int32_t tree) {
    begin_ = forest_.root_chain[at(tree)];
    end_ = forest_.root_chain[at(tree) + 1];
    open_.resize(at(end_ - begin_));
    below_.assign(at(end_ - begin_), Below{});
    wide_.clear();
    for (const auto step : {&TreeCheck::root, &TreeCheck::downward, &TreeCheck::endings,
                            &TreeCheck::upward, &TreeCheck::wide_nodes}) {
      if (Defect defect = (this->*step)()) return defect;
    }
    return std::nullopt;
  }

 private:
  // What must come next below a chain.
  struct Open {
    std::int32_t child;
    std::uint32_t slice;  // where the child's slice of trajectory_order begins
  };

  // What has been found below a chain; a sweep from the last chain to the first fills it in.
  struct Below {
    double return_sum = 0.0;                 // in whatever order
    double magnitude_sum = 0.0;              // of absolute values: bounds the rounding of any order
    std::uint64_t step = ~std::uint64_t{0};  // into the child after which the next one is visited
    std::int32_t first_trajectory = kMost;   // least through that child
    std::int32_t num_children = 0;
    std::int32_t num_actions = 0;  // exact up to two children
  };

  static constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

  Open& open(std::int32_t chain) { return open_[at(chain - begin_)]; }
  Below& below(std::int32_t chain) { return below_[at(chain - begin_)]; }

  Defect root() {
    const std::size_t root = at(begin_);
    const auto& first_node = chains_.first_node;
    const std::int32_t count = chains_.num_trajectories[root];
    if (chains_.parent[root] != kNone) return ForestDefect{"parent", root, "-1 at a root"};
    if (chains_.depth[root] != 0) return ForestDefect{"depth", root, "0 at a root"};
    if (chains_.subtree_end[root] != end_) {
      return ForestDefect{"subtree_end", root, "the next tree's root"};
    }
    if (wrap(chains_.num_terminal[root]) > wrap(count)) {
      return ForestDefect{"num_terminal", root, "between 0 and num_trajectories"};
    }
    if (first_node[root] < 0 || first_node[root] >= first_node[root + 1]) {
      return ForestDefect{"first_node", root, "less than the one after it"};
    }
    if (first_node[at(end_)] > num_nodes(forest_)) {
      return ForestDefect{"first_node", at(end_), "at most the number of nodes"};
    }
    if (count == 0 && (end_ - begin_ != 1 || first_node[root + 1] - first_node[root] != 1)) {
      return ForestDefect{"num_trajectories", root, "at least 1 where there are steps"};
    }
    return std::nullopt;
  }

  // Children must tile the range of their parent, and their slices what its endings leave of its
  // own; upward() looks at the ends. Then ranges nest, ids are in pre-order, and bounds hold.
  Defect downward() {
    static constexpr Rule kRules[] = {
        {"parent", "an earlier chain of the tree"},
        {"parent", "the chain whose next child this is, in pre-order"},
        {"first_node", "less than the one after it"},
        {"depth", "the parent's depth and length together"},
        {"num_trajectories", "at least 1 below a root, and fewer than at the parent"},
        {"num_terminal", "between 0 and num_trajectories"},
        {"first_trajectory", "the end of the slice before it, inside the tree's"}};
    const std::uint32_t slice_end =
        wrap(chains_.first_trajectory[at(begin_)]) + wrap(chains_.num_trajectories[at(begin_)]);
    const auto enter = [&](std::size_t chain) {
      open_[chain - at(begin_)] = {
          static_cast<std::int32_t>(chain) + 1,
          wrap(chains_.first_trajectory[chain]) + wrap(chains_.num_terminal[chain])};
    };
    const auto& first_node = chains_.first_node;
    return sweep(
        begin_ + 1, end_, kRules, [&] { enter(at(begin_)); },
        [&](std::int32_t chain) {
          const std::size_t i = at(chain);
          const std::uint32_t distance = wrap(chains_.parent[i]) - wrap(begin_);
          const bool has_parent = distance < wrap(chain - begin_);
          const std::size_t parent = at(begin_) + (has_parent ? distance : 0);
          const std::uint32_t depth =
              wrap(chains_.depth[parent]) + wrap(first_node[parent + 1]) - wrap(first_node[parent]);
          const std::int32_t count = chains_.num_trajectories[i];
          const std::uint32_t slice = wrap(chains_.first_trajectory[i]);
          Open& next = open_[parent - at(begin_)];
          const std::uint32_t broken =
              broken_if(!has_parent, 0) | broken_if(next.child != chain, 1) |
              broken_if(first_node[i] >= first_node[i + 1], 2) |
              broken_if(wrap(chains_.depth[i]) != depth, 3) |
              broken_if((count < 1) | (count >= chains_.num_trajectories[parent]), 4) |
              broken_if(wrap(chains_.num_terminal[i]) > wrap(count), 5) |
              broken_if(
                  (slice != next.slice) | (slice > slice_end) | (slice + wrap(count) > slice_end),
                  6);
          next = {chains_.subtree_end[i], slice + wrap(count)};
          enter(i);
          return broken;
        });
  }

  // Slots of endings are disjoint and fill trajectory_order: if each holds trajectories that end
  // there, in ascending order, then none can come twice, and none is missing.
  Defect endings() {
    static constexpr Rule kRules[] = {
        {"trajectory_order", "a trajectory"},
        {"trajectory_order", "a trajectory that ends at the chain whose slot this is"},
        {"trajectory_order", "input order among trajectories of one ending"}};
    const auto& order = forest_.trajectory_order;
    const std::int32_t begin = chains_.first_trajectory[at(begin_)];
    const std::int32_t end = begin + chains_.num_trajectories[at(begin_)];
    return sweep(
        begin, end, kRules, [] {},
        [&](std::int32_t i) {
          const bool is_trajectory = is_below(order[at(i)], num_trajectories(forest_));
          const std::size_t trajectory = is_trajectory ? at(order[at(i)]) : 0;
          const std::uint32_t distance = wrap(forest_.end_chain[trajectory]) - wrap(begin_);
          const bool is_here = distance < wrap(end_ - begin_);
          const std::size_t chain = is_here ? distance : 0;
          const std::uint32_t slot = wrap(i) - wrap(chains_.first_trajectory[at(begin_) + chain]);
          const bool is_ascending = order[at(i - (i > begin))] < order[at(i)];
          below_[chain].return_sum += forest_.total_return[trajectory];
          below_[chain].magnitude_sum += std::abs(forest_.total_return[trajectory]);
          return broken_if(!is_trajectory, 0) |
                 broken_if(!is_here | (slot >= wrap(chains_.num_terminal[at(begin_) + chain])), 1) |
                 broken_if((slot != 0) & !is_ascending, 2);
        });
  }

  // From the last chain to the first: a chain comes after all below it.
  Defect upward() {
    static constexpr Rule kRules[] = {
        {"subtree_end", "the end of its last child, or the next chain at a leaf"},
        {"num_trajectories", "its endings and its children's together"},
        {"return_sum", "the sum of the returns through the chain"},
        {"num_actions", "the distinct actions of the children"},
        {"first_node", "a step that no sibling has"},
        {"trajectory_order", "siblings in the order trajectories first made them"}};
    for (std::int32_t chain = end_ - 1; chain >= begin_; --chain) {
      const std::uint32_t broken = broken_at(chain) | (chain > begin_ ? hand_up(chain) : 0);
      if (broken == 0) continue;
      const Rule& rule = kRules[std::countr_zero(broken)];
      return ForestDefect{rule.column, at(chain), rule.expected};
    }
    return std::nullopt;
  }

  std::uint32_t broken_at(std::int32_t chain) {
    const std::size_t i = at(chain);
    const Below& found = below(chain);
    const Open& next = open(chain);
    const std::uint32_t slice_end =
        wrap(chains_.first_trajectory[i]) + wrap(chains_.num_trajectories[i]);
    return broken_if(next.child != chains_.subtree_end[i], 0) |
           broken_if(next.slice != slice_end, 1) | broken_if(!is_rounding(chain), 2) |
           broken_if((found.num_actions != chains_.num_actions[i]) & (found.num_children <= 2), 3);
  }

  // Tells the parent, whose later children have been there.
  std::uint32_t hand_up(std::int32_t chain) {
    const Below& found = below(chain);
    const std::int32_t parent = chains_.parent[at(chain)];
    Below& above = below(parent);
    const std::uint64_t step = step_into(chain);
    const std::int32_t first = std::min(found.first_trajectory, first_ending(chain));
    const std::uint32_t broken =
        broken_if(step == above.step, 4) | broken_if(first >= above.first_trajectory, 5);
    if (above.num_children == 2) wide_.push_back(parent);
    above.num_actions += step >> 32 != above.step >> 32;
    above.num_children += 1;
    above.step = step;
    above.first_trajectory = first;
    above.return_sum += found.return_sum;
    above.magnitude_sum += found.magnitude_sum;
    return broken;
  }

  std::uint64_t step_into(std::int32_t chain) const {
    const std::size_t node = at(chains_.first_node[at(chain)]);
    return static_cast<std::uint64_t>(wrap(forest_.action_id[node])) << 32 |
           wrap(forest_.observation_id[node]);
  }

  // The slot of a chain begins its slice, which is never empty below a root. Every other chain
  // has endings: a branch would be guessed wrong half of the time.
  std::int32_t first_ending(std::int32_t chain) const {
    const std::int32_t first = forest_.trajectory_order[at(chains_.first_trajectory[at(chain)])];
    return first | (kMost & -static_cast<std::int32_t>(chains_.num_terminal[at(chain)] == 0));
  }

  // Two orders of n summands differ by less than 2 (n - 1) half-epsilons of the magnitude. Where
  // magnitudes overflow, so may an honest sum.
  bool is_rounding(std::int32_t chain) {
    const Below& found = below(chain);
    const double rounding = static_cast<double>(chains_.num_trajectories[at(chain)] - 1) * 2 *
                            std::numeric_limits<double>::epsilon() * found.magnitude_sum;
    const double error = std::abs(chains_.return_sum[at(chain)] - found.return_sum);
    const bool is_finite = found.magnitude_sum <= std::numeric_limits<double>::max();
    return (error <= rounding) | (error == 0) | !is_finite;
  }

  // More than two children: all against all.
  Defect wide_nodes() {
    for (const std::int32_t chain : wide_) {
      steps_.clear();
      for_each_child(forest_, chain,
                     [&](std::int32_t child) { steps_.push_back(step_into(child)); });
      std::ranges::sort(steps_);
      std::int32_t num_actions = 1;
      for (std::size_t i = 1; i < steps_.size(); ++i) {
        if (steps_[i] == steps_[i - 1]) {
          return ForestDefect{"first_node", at(chain) + 1, "siblings that differ in their step"};
        }
        num_actions += steps_[i] >> 32 != steps_[i - 1] >> 32;
      }
      if (num_actions != chains_.num_actions[at(chain)]) {
        return ForestDefect{"num_actions", at(chain), "the distinct actions of the children"};
      }
    }
    return std::nullopt;
  }

  const Forest& forest_;
  const Chains& chains_;
  std::int32_t begin_ = 0;
  std::int32_t end_ = 0;
  std::vector<Open> open_;            // by chain of the tree
  std::vector<Below> below_;          // likewise
  std::vector<std::int32_t> wide_;    // chains with more than two children
  std::vector<std::uint64_t> steps_;  // of siblings
};

// Trees are ranges of chains, nodes and slices of trajectory_order, one after another.
Defect find_defect_of_trees(const Forest& forest) {
  const auto& [root_chain, first_node] = std::tie(forest.root_chain, forest.chains.first_node);
  if (root_chain[0] != 0) return ForestDefect{"root_chain", 0, "0"};
  for (std::size_t tree = 1; tree < root_chain.size(); ++tree) {
    if (root_chain[tree] <= root_chain[tree - 1]) {
      return ForestDefect{"root_chain", tree, "more than the one before it"};
    }
  }
  if (root_chain.back() != num_chains(forest)) {
    return ForestDefect{"root_chain", root_chain.size() - 1, "the number of chains"};
  }
  if (first_node[0] != 0) return ForestDefect{"first_node", 0, "0"};
  if (first_node.back() != num_nodes(forest)) {
    return ForestDefect{"first_node", first_node.size() - 1, "the number of nodes"};
  }
  std::int64_t num_sliced = 0;
  for (std::int32_t tree = 0; tree < num_trees(forest); ++tree) {
    const std::size_t root = at(root_chain[at(tree)]);
    const std::int32_t count = forest.chains.num_trajectories[root];
    if (forest.chains.first_trajectory[root] != num_sliced) {
      return ForestDefect{"first_trajectory", root, "the end of the slice before it"};
    }
    if (count < 0 || (num_sliced += count) > num_trajectories(forest)) {
      return ForestDefect{"num_trajectories", root, "no more than there are"};
    }
  }
  if (num_sliced == num_trajectories(forest)) return std::nullopt;
  return ForestDefect{"root_chain", root_chain.size() - 1, "trees for all trajectories"};
}

Defect find_defect_of_returns(const Forest& forest) {
  for (std::size_t i = 0; i < forest.total_return.size(); ++i) {
    if (!std::isfinite(forest.total_return[i])) {
      return ForestDefect{"total_return", i, "a finite number"};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<ForestDefect> find_defect(const Forest& forest, const Execution& execution) {
  if (Defect defect = find_defect_of_trees(forest)) return defect;
  if (Defect defect = find_defect_of_returns(forest)) return defect;
  std::vector<TreeCheck> checks(at(num_workers(num_trees(forest), execution)), TreeCheck(forest));
  std::mutex mutex;
  Defect first;
  std::int32_t first_tree = num_trees(forest);
  parallel_for(num_trees(forest), execution, [&](std::int32_t tree, std::int32_t worker, Watch&) {
    Defect defect = checks[at(worker)].run(tree);
    if (!defect) return;
    const std::scoped_lock lock(mutex);
    if (tree >= first_tree) return;
    first = std::move(defect);
    first_tree = tree;
  });
  return first;
}

}  // namespace w2stree
