#include "w2stree/forest.hpp"

#include <algorithm>
#include <compare>
#include <numeric>

#include "w2stree/errors.hpp"

namespace w2stree {
namespace {

// The trie is built as a string sort by most significant digit would be. A slice of
// trajectory_order holds trajectories with a common prefix: it is one node. Its endings move to
// the front, the rest is grouped by the next step, and each group is the slice of one child.
//
//   slice    │ 4 │ 1 │ 0 │ 3 │ 2 │      next step of 4 1 0 3 2:  x  end  y  x  end
//            │ 1   2 │ 4   3 │ 0 │
//            └ ended ┴── x ──┴ y ┘
//
// Taking the last pending slice first visits nodes in depth-first pre-order, so ids need no
// renumbering, and within a slice trajectories stay in input order until it is split.
struct Slice {
  std::int32_t parent;
  std::int32_t depth;
  std::int32_t begin;
  std::int32_t end;
};

// What a trajectory does next. Ordered by step, then by input order.
struct NextStep {
  std::int32_t action_id;
  std::int32_t observation_id;
  std::int32_t trajectory;
  auto operator<=>(const NextStep&) const = default;

  bool same_step(const NextStep& other) const {
    return action_id == other.action_id && observation_id == other.observation_id;
  }
};

class Builder {
 public:
  explicit Builder(const TrajectoryColumns& columns) : columns_(columns) {}

  Forest build() {
    forest_.total_return.assign(columns_.total_return.begin(), columns_.total_return.end());
    forest_.end_node.resize(columns_.tree_id.size());
    const std::vector<std::int32_t> tree_begin = order_by_tree();
    for (std::int32_t tree = 0; tree < columns_.num_trees; ++tree) {
      forest_.root.push_back(num_nodes(forest_));
      grow({kNone, 0, tree_begin[at(tree)], tree_begin[at(tree) + 1]});
    }
    close_subtrees();
    return std::move(forest_);
  }

 private:
  // Fills trajectory_order by tree, input order within a tree (a counting sort). The
  // trajectories of tree t are [begin[t], begin[t + 1]) of it.
  std::vector<std::int32_t> order_by_tree() {
    std::vector<std::int32_t> begin(at(columns_.num_trees) + 1, 0);
    for (const std::int32_t tree : columns_.tree_id) ++begin[at(tree) + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<std::int32_t> next = begin;
    forest_.trajectory_order.resize(columns_.tree_id.size());
    for (std::size_t i = 0; i < columns_.tree_id.size(); ++i) {
      const std::int32_t position = next[at(columns_.tree_id[i])]++;
      forest_.trajectory_order[at(position)] = static_cast<std::int32_t>(i);
    }
    return begin;
  }

  void grow(const Slice& tree) {
    pending_.push_back(tree);
    while (!pending_.empty()) {
      const Slice slice = pending_.back();
      pending_.pop_back();
      const std::int32_t node = add_node(slice);
      const std::int32_t ended = move_endings_first(node, slice);
      split(node, slice.depth, ended);
    }
  }

  std::int32_t add_node(const Slice& slice) {
    if (std::ssize(forest_.parent) == kMaxId) refuse("more than ", kMaxId, " nodes");
    const std::int32_t node = num_nodes(forest_);
    const bool is_root = slice.parent == kNone;
    const std::size_t step = is_root ? 0 : step_index(order(slice.begin), slice.depth - 1);
    double return_sum = 0.0;
    for (std::int32_t i = slice.begin; i < slice.end; ++i) {
      return_sum += columns_.total_return[at(order(i))];
    }
    forest_.parent.push_back(slice.parent);
    forest_.subtree_end.push_back(node + 1);
    forest_.action_id.push_back(is_root ? kNone : columns_.action_id[step]);
    forest_.observation_id.push_back(is_root ? kNone : columns_.observation_id[step]);
    forest_.depth.push_back(slice.depth);
    forest_.num_children.push_back(0);
    forest_.num_actions.push_back(0);
    forest_.num_trajectories.push_back(slice.end - slice.begin);
    forest_.num_terminal.push_back(0);
    forest_.first_trajectory.push_back(slice.begin);
    forest_.return_sum.push_back(return_sum);
    return node;
  }

  // Leaves what the others do next in next_steps_; returns where the endings end.
  std::int32_t move_endings_first(std::int32_t node, const Slice& slice) {
    next_steps_.clear();
    std::int32_t ended = slice.begin;
    for (std::int32_t i = slice.begin; i < slice.end; ++i) {
      const std::int32_t trajectory = order(i);
      const std::size_t step = step_index(trajectory, slice.depth);
      if (step < step_index(trajectory + 1, 0)) {
        next_steps_.push_back(
            {columns_.action_id[step], columns_.observation_id[step], trajectory});
      } else {
        forest_.end_node[at(trajectory)] = node;
        order(ended++) = trajectory;  // ended <= i: nothing unread is overwritten
      }
    }
    forest_.num_terminal[at(node)] = ended - slice.begin;
    return ended;
  }

  // Groups next_steps_ into the children of `node`, whose slices begin at `begin`.
  void split(std::int32_t node, std::int32_t depth, std::int32_t begin) {
    std::sort(next_steps_.begin(), next_steps_.end());
    collect_branches(node);
    for (const auto branch : branches_) {
      const std::int32_t first = begin;
      for (const NextStep& next : branch) order(begin++) = next.trajectory;
      pending_.push_back({node, depth + 1, first, begin});
    }
    std::reverse(pending_.end() - std::ssize(branches_), pending_.end());  // first child on top
  }

  // Runs of equal steps in the sorted next_steps_, in insertion order.
  void collect_branches(std::int32_t node) {
    branches_.clear();
    for (auto first = next_steps_.begin(); first != next_steps_.end();) {
      const auto last = std::find_if_not(
          first, next_steps_.end(), [&](const NextStep& next) { return next.same_step(*first); });
      const bool is_new_action =
          branches_.empty() || branches_.back().front().action_id != first->action_id;
      forest_.num_actions[at(node)] += is_new_action ? 1 : 0;
      branches_.push_back({first, last});
      first = last;
    }
    forest_.num_children[at(node)] = static_cast<std::int32_t>(branches_.size());
    std::sort(branches_.begin(), branches_.end(), [](const auto& left, const auto& right) {
      return left.front().trajectory < right.front().trajectory;
    });
  }

  // Children have greater ids than their parents: one backward sweep closes every range.
  void close_subtrees() {
    for (std::int32_t node = num_nodes(forest_) - 1; node >= 0; --node) {
      const std::int32_t parent = forest_.parent[at(node)];
      if (parent == kNone) continue;
      auto& end = forest_.subtree_end[at(parent)];
      end = std::max(end, forest_.subtree_end[at(node)]);
    }
  }

  std::int32_t& order(std::int32_t i) { return forest_.trajectory_order[at(i)]; }

  std::size_t step_index(std::int32_t trajectory, std::int32_t depth) const {
    return static_cast<std::size_t>(columns_.step_offset[at(trajectory)] + depth);
  }

  const TrajectoryColumns& columns_;
  Forest forest_;
  std::vector<Slice> pending_;
  std::vector<NextStep> next_steps_;                 // scratch of the node at hand
  std::vector<std::span<const NextStep>> branches_;  // likewise
};

}  // namespace

Forest build_forest(const TrajectoryColumns& columns) {
  validate(columns);
  return Builder(columns).build();
}

}  // namespace w2stree
