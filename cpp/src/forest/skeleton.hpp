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
#include <span>
#include <vector>

#include "forest/child_table.hpp"
#include "w2stree/forest/forest.hpp"

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

/// A chain that is not frozen yet: one cache line. Numbers count within the tree.
struct alignas(64) Branch {
  const std::int32_t* action = nullptr;  // the label
  const std::int32_t* observation = nullptr;
  std::int32_t first_action = kNone;  // its first step, near at hand for scans
  std::int32_t first_observation = kNone;
  std::int32_t length = 0;
  std::int32_t num_trajectories = 0;
  double return_sum = 0.0;
  std::int32_t first_child = kNone;
  std::int32_t last_child = kNone;
  std::int32_t next_sibling = kNone;
  std::int32_t fork = kNone;          // in the ChildTable, once children are many
  std::int32_t first_ending = kNone;  // a list through next_ending, in input order
  std::int32_t last_ending = kNone;

  void set_label(const Label& label) {
    action = label.action;
    observation = label.observation;
    length = label.length;
    if (length == 0) return;
    first_action = *action;
    first_observation = *observation;
  }
};

class Skeleton {
 public:
  /// next_ending is scratch indexed by trajectory, shared by all skeletons.
  explicit Skeleton(std::span<std::int32_t> next_ending) : next_ending_(next_ending) {}

  /// Forgets the last tree; leaves a root.
  void clear() {
    branches_.assign(1, Branch{});
    table_.clear();
    num_nodes_ = 1;
  }

  /// Nodes of the tree, the root included.
  std::int64_t num_nodes() const { return num_nodes_; }
  std::int32_t num_branches() const { return static_cast<std::int32_t>(branches_.size()); }
  std::int32_t num_trajectories() const { return branches_[0].num_trajectories; }

  const Branch& operator[](std::int32_t branch) const { return branches_[at(branch)]; }
  std::int32_t next_ending(std::int32_t trajectory) const { return next_ending_[at(trajectory)]; }

  /// Distinct actions among the children.
  std::int32_t num_actions(std::int32_t branch) const {
    const Branch& parent = branches_[at(branch)];
    if (parent.fork != kNone) return table_.num_actions(parent.fork);
    std::int32_t count = 0;
    for (std::int32_t child = parent.first_child; child != kNone;
         child = branches_[at(child)].next_sibling) {
      std::int32_t earlier = parent.first_child;  // the first with this action is the child itself
      while (branches_[at(earlier)].first_action != branches_[at(child)].first_action) {
        earlier = branches_[at(earlier)].next_sibling;
      }
      count += earlier == child ? 1 : 0;
    }
    return count;
  }

  /// Takes over a frozen tree, to be extended. Only after clear.
  void load(const Forest& forest, std::int32_t tree) {
    const std::int32_t root = forest.root_chain[at(tree)];
    for (std::int32_t chain = root; chain < forest.root_chain[at(tree) + 1]; ++chain) {
      const Label label = label_of(forest, chain, chain == root);
      const std::int32_t branch = chain == root ? 0 : add(label);
      if (chain == root) {
        branches_[0].set_label(label);
      } else {
        link(forest.chains.parent[at(chain)] - root, branch);
      }
      num_nodes_ += label.length;
      branches_[at(branch)].num_trajectories = forest.chains.num_trajectories[at(chain)];
      branches_[at(branch)].return_sum = forest.chains.return_sum[at(chain)];
      for (const std::int32_t trajectory : trajectories_ending_at(forest, chain)) {
        end(branch, trajectory);
      }
    }
  }

  template <class Merging>
  void insert(std::int32_t trajectory, Label steps, double total_return, Merging& merging) {
    if (branches_[0].num_trajectories == 0) stretch_root(steps);
    std::int32_t number = 0;
    while (true) {
      const std::int32_t matched = match(branches_[at(number)], steps, number == 0, merging);
      if (matched < branches_[at(number)].length) split(number, matched);
      steps = steps.from(matched);
      Branch& branch = branches_[at(number)];
      branch.num_trajectories += 1;
      branch.return_sum += total_return;
      if (steps.length == 0) return end(number, trajectory);
      const std::int32_t child = find_child(branch, steps, merging);
      if (child == kNone) return end(add_child(number, steps, total_return), trajectory);
      number = child;
    }
  }

 private:
  // The steps along a frozen chain. None leads to the root itself.
  static Label label_of(const Forest& forest, std::int32_t chain, bool is_root) {
    const std::int32_t first = forest.chains.first_node[at(chain)] + (is_root ? 1 : 0);
    return {forest.action_id.data() + first, forest.observation_id.data() + first,
            last_node(forest, chain) + 1 - first};
  }

  std::int32_t add(const Label& label) {
    branches_.emplace_back().set_label(label);
    return num_branches() - 1;
  }

  // The first trajectory of a tree runs along the root's own chain.
  void stretch_root(const Label& steps) {
    branches_[0].set_label(steps);
    num_nodes_ += steps.length;
  }

  // How far the steps run along. find_child has compared the first one, except at the root.
  template <class Merging>
  static std::int32_t match(const Branch& branch, const Label& steps, bool is_root,
                            Merging& merging) {
    const std::int32_t limit = std::min(branch.length, steps.length);
    std::int32_t i = is_root ? 0 : 1;
    while (i < limit && branch.action[i] == steps.action[i] &&
           merging.same(branch.observation[i], steps.observation[i])) {
      ++i;
    }
    if constexpr (!Merging::is_exact) merging.count(branch.observation, steps.observation, i);
    return i;
  }

  void split(std::int32_t upper, std::int32_t length) {
    const Branch& whole = branches_[at(upper)];
    const Label rest = Label{whole.action, whole.observation, whole.length}.from(length);
    const std::int32_t lower = add(rest);
    Branch& above = branches_[at(upper)];
    Branch& below = branches_[at(lower)];
    below = above;
    below.set_label(rest);
    below.next_sibling = kNone;
    above.length = length;
    above.first_child = above.last_child = lower;
    above.fork = kNone;
    above.first_ending = above.last_ending = kNone;
  }

  void end(std::int32_t branch, std::int32_t trajectory) {
    Branch& last = branches_[at(branch)];
    next_ending_[at(trajectory)] = kNone;
    if (last.first_ending == kNone) {
      last.first_ending = trajectory;
    } else {
      next_ending_[at(last.last_ending)] = trajectory;
    }
    last.last_ending = trajectory;
  }

  template <class Merging>
  std::int32_t find_child(const Branch& branch, const Label& steps, const Merging& merging) const {
    const std::int32_t action = *steps.action;
    const std::int32_t observation = *steps.observation;
    if (branch.fork != kNone) {
      const std::int32_t child = table_.find(branch.fork, action, observation);
      if (child != kNone || Merging::is_exact) return child;
    }
    std::int32_t child = branch.first_child;
    while (child != kNone) {
      const Branch& made = branches_[at(child)];
      if (made.first_action == action && merging.same(made.first_observation, observation)) break;
      child = made.next_sibling;
    }
    return child;
  }

  std::int32_t add_child(std::int32_t branch, const Label& steps, double total_return) {
    num_nodes_ += steps.length;
    const std::int32_t child = add(steps);
    branches_[at(child)].num_trajectories = 1;
    branches_[at(child)].return_sum = total_return;
    link(branch, child);
    return child;
  }

  void link(std::int32_t branch, std::int32_t child) {
    Branch& parent = branches_[at(branch)];
    if (parent.last_child == kNone) {
      parent.first_child = child;
    } else {
      branches_[at(parent.last_child)].next_sibling = child;
    }
    parent.last_child = child;
    if (parent.fork != kNone) {
      list(parent.fork, child);
    } else if (has_many_children(parent)) {
      parent.fork = table_.new_fork();
      for (child = parent.first_child; child != kNone; child = branches_[at(child)].next_sibling) {
        list(parent.fork, child);
      }
    }
  }

  bool has_many_children(const Branch& parent) const {
    constexpr std::int32_t kMaxScan = 8;  // a scan is faster than a hash up to here
    std::int32_t count = 0;
    for (std::int32_t child = parent.first_child; child != kNone && count <= kMaxScan; ++count) {
      child = branches_[at(child)].next_sibling;
    }
    return count > kMaxScan;
  }

  void list(std::int32_t fork, std::int32_t child) {
    const Branch& branch = branches_[at(child)];
    table_.insert(fork, branch.first_action, branch.first_observation, child);
  }

  std::vector<Branch> branches_;
  ChildTable table_;
  std::span<std::int32_t> next_ending_;
  std::int64_t num_nodes_ = 1;
};

}  // namespace w2stree
