// One tree while it grows: a radix tree into which trajectories are inserted one by one.
//
//   insert (a b c d), then (a b x):       a b c d          a b ─┬─ c d       the upper half keeps
//                                         └ branch 0       │    └─ x         its number, so links
//                                                          └ branch 0        to it stay right
//
// Labels point into the caller's columns (or into a frozen forest that is being extended), so
// a step that nobody shares is never read here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "child_table.hpp"
#include "w2stree/forest.hpp"
#include "w2stree/similarity.hpp"

namespace w2stree {

/// A run of steps, borrowed.
struct Label {
  const std::int32_t* action;
  const std::int32_t* observation;
  std::int32_t length;

  Label from(std::int32_t begin) const {
    return {action + begin, observation + begin, length - begin};
  }
};

/// A chain that is not frozen yet. Numbers count within the tree.
struct Branch {
  Label label;
  double return_sum = 0.0;
  std::int32_t num_trajectories = 0;
  std::int32_t first_child = kNone;
  std::int32_t last_child = kNone;
  std::int32_t next_sibling = kNone;
  std::int32_t num_children = 0;
  std::int32_t num_actions = 0;
  std::int32_t fork = kNone;          // in the ChildTable, once children are many
  std::int32_t first_ending = kNone;  // a list through next_ending, in input order
  std::int32_t last_ending = kNone;
  std::int32_t num_terminal = 0;
  std::int32_t action = kNone;  // first step of the label, near at hand for scans
  std::int32_t observation = kNone;
};

/// Which observations count as the same state; asked only after the same action.
struct ExactMerging {
  static constexpr bool is_exact = true;
  static bool same(std::int32_t made, std::int32_t seen) { return made == seen; }
};

/// Likewise by similarity; counts what was merged. One for each worker.
class SimilarMerging {
 public:
  static constexpr bool is_exact = false;
  explicit SimilarMerging(const SimilarityTest& test) : test_(&test) {}

  bool same(std::int32_t made, std::int32_t seen) const { return test_->same(made, seen); }
  void count(const Label& made, const Label& seen, std::int32_t length) {
    for (std::int32_t i = 0; i < length; ++i) {
      if (made.observation[i] != seen.observation[i]) {
        ++counts_[{made.observation[i], seen.observation[i]}];
      }
    }
  }
  const std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>& counts() const {
    return counts_;
  }

 private:
  const SimilarityTest* test_;
  std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> counts_;
};

template <class Merging>
class Skeleton {
 public:
  /// Appends one tree to `branches`; the table is scratch, next_ending is indexed by trajectory.
  Skeleton(std::vector<Branch>& branches, ChildTable& table, std::span<std::int32_t> next_ending,
           Merging& merging)
      : branches_(branches),
        base_(branches.size()),
        table_(table),
        next_ending_(next_ending),
        merging_(merging) {
    table_.clear();
    add(Label{nullptr, nullptr, 0});
  }

  /// Nodes of the tree, the root included.
  std::int64_t num_nodes() const { return num_nodes_; }

  /// Takes over a frozen tree, to be extended.
  void load(const Forest& forest, std::int32_t tree) {
    const std::int32_t root = forest.root_chain[w2stree::at(tree)];
    const std::int32_t end = forest.root_chain[w2stree::at(tree) + 1];
    for (std::int32_t chain = root; chain < end; ++chain) {
      const std::int32_t branch = chain - root;
      const Label label = label_of(forest, chain, chain == root);
      if (chain == root) {
        at(0).label = label;
      } else {
        add(label);
        link(forest.chains.parent[w2stree::at(chain)] - root, branch);
      }
      at(branch).num_trajectories = forest.chains.num_trajectories[w2stree::at(chain)];
      at(branch).return_sum = forest.chains.return_sum[w2stree::at(chain)];
      for (const std::int32_t trajectory : trajectories_ending_at(forest, chain)) {
        this->end(branch, trajectory);
      }
      num_nodes_ += label.length;
    }
  }

  void insert(std::int32_t trajectory, Label steps, double total_return) {
    if (at(0).num_trajectories == 0) stretch_root(steps);
    std::int32_t branch = 0;
    while (true) {
      const std::int32_t matched = match(at(branch).label, steps);
      if constexpr (!Merging::is_exact) merging_.count(at(branch).label, steps, matched);
      if (matched < at(branch).label.length) split(branch, matched);
      steps = steps.from(matched);
      at(branch).num_trajectories += 1;
      at(branch).return_sum += total_return;
      if (steps.length == 0) return end(branch, trajectory);
      const std::int32_t child = find_child(branch, steps);
      if (child == kNone) return end(add_child(branch, steps, total_return), trajectory);
      branch = child;
    }
  }

 private:
  // The steps along a frozen chain. None leads to the root itself.
  static Label label_of(const Forest& forest, std::int32_t chain, bool is_root) {
    const std::int32_t first = forest.chains.first_node[w2stree::at(chain)] + (is_root ? 1 : 0);
    return {forest.action_id.data() + first, forest.observation_id.data() + first,
            last_node(forest, chain) + 1 - first};
  }

  Branch& at(std::int32_t branch) { return branches_[base_ + w2stree::at(branch)]; }

  std::int32_t add(const Label& label) {
    Branch& branch = branches_.emplace_back();
    branch.label = label;
    if (label.length > 0) {
      branch.action = *label.action;
      branch.observation = *label.observation;
    }
    return static_cast<std::int32_t>(branches_.size() - base_) - 1;
  }

  // The first trajectory of a tree runs along the root's own chain.
  void stretch_root(const Label& steps) {
    at(0).label = steps;
    num_nodes_ += steps.length;
  }

  bool same_step(std::int32_t made_action, std::int32_t made_observation, const Label& steps,
                 std::int32_t i) const {
    return made_action == steps.action[i] && merging_.same(made_observation, steps.observation[i]);
  }

  std::int32_t match(const Label& label, const Label& steps) const {
    const std::int32_t limit = std::min(label.length, steps.length);
    std::int32_t i = 0;
    while (i < limit && same_step(label.action[i], label.observation[i], steps, i)) ++i;
    return i;
  }

  void split(std::int32_t upper, std::int32_t length) {
    const std::int32_t lower = add(at(upper).label.from(length));
    Branch& above = at(upper);
    Branch& below = at(lower);
    const Label rest = below.label;
    const auto [action, observation] = std::pair(below.action, below.observation);
    below = above;
    below.label = rest;
    below.action = action;
    below.observation = observation;
    below.next_sibling = kNone;
    above.label.length = length;
    above.first_child = above.last_child = lower;
    above.num_children = above.num_actions = 1;
    above.fork = kNone;
    above.first_ending = above.last_ending = kNone;
    above.num_terminal = 0;
  }

  void end(std::int32_t branch, std::int32_t trajectory) {
    Branch& last = at(branch);
    next_ending_[w2stree::at(trajectory)] = kNone;
    if (last.first_ending == kNone) {
      last.first_ending = trajectory;
    } else {
      next_ending_[w2stree::at(last.last_ending)] = trajectory;
    }
    last.last_ending = trajectory;
    last.num_terminal += 1;
  }

  std::int32_t find_child(std::int32_t branch, const Label& steps) {
    if (at(branch).fork != kNone) {
      const std::int32_t child = table_.find(at(branch).fork, *steps.action, *steps.observation);
      if (child != kNone || Merging::is_exact) return child;
    }
    std::int32_t child = at(branch).first_child;
    while (child != kNone && !same_step(at(child).action, at(child).observation, steps, 0)) {
      child = at(child).next_sibling;
    }
    return child;
  }

  std::int32_t add_child(std::int32_t branch, const Label& steps, double total_return) {
    num_nodes_ += steps.length;
    const std::int32_t child = add(steps);
    at(child).num_trajectories = 1;
    at(child).return_sum = total_return;
    link(branch, child);
    return child;
  }

  void link(std::int32_t branch, std::int32_t child) {
    Branch& parent = at(branch);
    parent.num_actions += is_new_action(branch, at(child).action) ? 1 : 0;
    if (parent.last_child == kNone) {
      parent.first_child = child;
    } else {
      at(parent.last_child).next_sibling = child;
    }
    parent.last_child = child;
    parent.num_children += 1;
    if (parent.fork != kNone) {
      list(parent.fork, child);
    } else if (parent.num_children > kMaxScan) {
      parent.fork = table_.new_fork();
      for (child = parent.first_child; child != kNone; child = at(child).next_sibling) {
        list(parent.fork, child);
      }
    }
  }

  bool is_new_action(std::int32_t branch, std::int32_t action) {
    if (at(branch).fork != kNone) return table_.find(at(branch).fork, action, kNone) == kNone;
    std::int32_t child = at(branch).first_child;
    while (child != kNone && at(child).action != action) child = at(child).next_sibling;
    return child == kNone;
  }

  // Under its step, and under its action alone.
  void list(std::int32_t fork, std::int32_t child) {
    table_.insert(fork, at(child).action, at(child).observation, child);
    table_.insert(fork, at(child).action, kNone, child);
  }

  static constexpr std::int32_t kMaxScan = 8;  // children; a scan is faster than a hash below

  std::vector<Branch>& branches_;
  std::size_t base_;
  ChildTable& table_;
  std::span<std::int32_t> next_ending_;
  Merging& merging_;
  std::int64_t num_nodes_ = 1;
};

}  // namespace w2stree
