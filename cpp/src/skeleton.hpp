// One tree while it grows: a radix tree into which trajectories are inserted one by one.
//
//   insert (a b c d), then (a b x):       a b c d          a b ─┬─ c d       the upper half keeps
//                                         └ branch 0       │    └─ x         its number, so links
//                                                          └ branch 0        to it stay right
//
// Labels point into the caller's columns (or into a frozen forest that is being extended), so
// a step that nobody shares is never read here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "child_table.hpp"
#include "w2stree/forest.hpp"

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

/// Which observations count as the same state. Asked only after the same action.
struct ExactMerging {
  bool same(std::int32_t made, std::int32_t seen) const { return made == seen; }
  static constexpr bool is_exact = true;
};

template <class Merging>
class Skeleton {
 public:
  /// Appends one tree to `branches`; the table is scratch, next_ending is indexed by trajectory.
  Skeleton(std::vector<Branch>& branches, ChildTable& table, std::span<std::int32_t> next_ending,
           const Merging& merging)
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
  void load(const Forest& forest, std::int32_t tree);

  void insert(std::int32_t trajectory, Label steps, double total_return) {
    if (at(0).num_trajectories == 0) stretch_root(steps);
    std::int32_t branch = 0;
    while (true) {
      const std::int32_t matched = match(at(branch).label, steps);
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
  const Merging& merging_;
  std::int64_t num_nodes_ = 1;
};

}  // namespace w2stree
