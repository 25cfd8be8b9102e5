#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "base/parallel.hpp"
#include "w2stree/base/errors.hpp"
#include "w2stree/states/states.hpp"

namespace w2stree {
namespace {

void check(const Forest& forest, std::span<const std::int32_t> key) {
  const std::int32_t count = num_nodes(forest);
  if (key.size() != at(count)) refuse("key has ", key.size(), " elements; expected ", count);
  for (std::size_t node = 0; node < key.size(); ++node) {
    if (key[node] < kNone || key[node] >= count) {
      refuse("key[", node, "]=", key[node], "; expected -1 or an id below ", count);
    }
  }
}

// [begin, end) of a tree's nodes.
std::pair<std::int32_t, std::int32_t> nodes_of(const Forest& forest, std::int32_t tree) {
  const std::span<const std::int32_t> first_node = forest.chains.first_node;
  return {first_node[at(forest.root_chain[at(tree)])],
          first_node[at(forest.root_chain[at(tree) + 1])]};
}

// What a tree leaves, at its nodes' places: a tree has no more states than nodes, and fewer edges.
struct Drafts {
  explicit Drafts(const Forest& forest)
      : node_state(at(num_nodes(forest))),
        node_edge(at(num_nodes(forest))),
        first_edge(at(num_nodes(forest))),
        action_id(at(num_nodes(forest))),
        target(at(num_nodes(forest))),
        first_node(at(num_nodes(forest))),
        first_trajectory(at(num_nodes(forest))),
        count(at(num_nodes(forest))),
        num_states(at(num_trees(forest))),
        num_edges(at(num_trees(forest))) {}

  // States and edges as the tree counts them, from 0.
  Buffer<std::int32_t> node_state;
  Buffer<std::int32_t> node_edge;
  Buffer<std::int32_t> first_edge;  // by state
  Buffer<std::int32_t> action_id;   // by edge, as all below
  Buffer<std::int32_t> target;
  Buffer<std::int32_t> first_node;
  Buffer<std::int32_t> first_trajectory;
  Buffer<std::int64_t> count;

  std::vector<std::int32_t> num_states;  // by tree
  std::vector<std::int32_t> num_edges;
};

// One tree after another.
class TreeStates {
 public:
  TreeStates(const Forest& forest, std::span<const std::int32_t> key, Drafts& drafts)
      : forest_(forest), key_(key), drafts_(drafts), state_of_key_(key.size(), kNone) {}

  void draft(std::int32_t tree, Watch& watch) {
    std::tie(begin_, end_) = nodes_of(forest_, tree);
    drafts_.num_states[at(tree)] = number_states();
    find_first_trajectories(tree);
    sort_steps(tree, drafts_.num_states[at(tree)], watch);
    drafts_.num_edges[at(tree)] = group_steps(drafts_.num_states[at(tree)], watch);
  }

 private:
  // A step, where it lies among those out of one state.
  struct Taken {
    std::int32_t action;
    std::int32_t target;
    std::int32_t node;
    std::int32_t chain;

    bool same_edge(const Taken& other) const {
      return action == other.action && target == other.target;
    }
    bool operator<(const Taken& other) const {
      return std::tie(action, target, node) < std::tie(other.action, other.target, other.node);
    }
  };

  std::int32_t number_states() {
    std::int32_t num_states = 0;
    for (std::int32_t node = begin_; node < end_; ++node) {
      std::int32_t own = kNone;
      const std::int32_t key = key_[at(node)];
      std::int32_t& state = key == kNone ? own : state_of_key_[at(key)];
      if (state == kNone) state = num_states++;
      drafts_.node_state[at(node)] = state;
    }
    for (std::int32_t node = begin_; node < end_; ++node) {  // for the next tree
      if (key_[at(node)] != kNone) state_of_key_[at(key_[at(node)])] = kNone;
    }
    return num_states;
  }

  // By chain of the tree: the first, in input order, of the trajectories through it.
  void find_first_trajectories(std::int32_t tree) {
    root_ = forest_.root_chain[at(tree)];
    const std::int32_t end = forest_.root_chain[at(tree) + 1];
    first_trajectory_.assign(at(end - root_), std::numeric_limits<std::int32_t>::max());
    for (std::int32_t chain = end; chain-- > root_;) {  // children before their parents
      std::int32_t& first = first_trajectory_[at(chain - root_)];
      const std::span<const std::int32_t> ending = trajectories_ending_at(forest_, chain);
      if (!ending.empty()) first = std::min(first, ending.front());
      if (chain == root_) continue;
      std::int32_t& above = first_trajectory_[at(forest_.chains.parent[at(chain)] - root_)];
      above = std::min(above, first);
    }
  }

  // All steps of the tree, by the state they are taken in.
  void sort_steps(std::int32_t tree, std::int32_t num_states, Watch& watch) {
    place_.assign(at(num_states) + 1, 0);
    for_each_step(tree, watch,
                  [&](std::int32_t source, const Taken&) { ++place_[at(source) + 1]; });
    for (std::size_t i = 1; i < place_.size(); ++i) place_[i] += place_[i - 1];
    steps_.resize(at(end_ - begin_ - 1));
    for_each_step(tree, watch, [&](std::int32_t source, const Taken& step) {
      steps_[at(place_[at(source)]++)] = step;  // place_ moves on to where the next state begins
    });
  }

  template <class Visit>
  void for_each_step(std::int32_t tree, Watch& watch, Visit visit) const {
    for (std::int32_t chain = root_; chain < forest_.root_chain[at(tree) + 1]; ++chain) {
      watch.check();
      const std::int32_t parent = forest_.chains.parent[at(chain)];
      const std::int32_t first = forest_.chains.first_node[at(chain)];
      std::int32_t above = parent == kNone ? kNone : last_node(forest_, parent);
      for (std::int32_t node = first; node <= last_node(forest_, chain); above = node++) {
        if (above == kNone) continue;  // no step leads to the root
        visit(drafts_.node_state[at(above)],
              Taken{forest_.action_id[at(node)], drafts_.node_state[at(node)], node, chain});
      }
    }
  }

  // Steps of one source, action and target become an edge.
  std::int32_t group_steps(std::int32_t num_states, Watch& watch) {
    std::int32_t edge = kNone;
    std::int32_t next = 0;  // of the steps
    drafts_.node_edge[at(begin_)] = kNone;
    for (std::int32_t state = 0; state < num_states; ++state) {
      watch.check();
      drafts_.first_edge[at(begin_ + state)] = edge + 1;
      const std::int32_t first = next;
      std::sort(steps_.begin() + first, steps_.begin() + place_[at(state)]);
      for (; next < place_[at(state)]; ++next) {
        const Taken& step = steps_[at(next)];
        if (next == first || !step.same_edge(steps_[at(next) - 1])) begin_edge(++edge, step);
        add_to_edge(edge, step);
      }
    }
    return edge + 1;
  }

  void begin_edge(std::int32_t edge, const Taken& step) {
    const std::size_t place = at(begin_ + edge);
    drafts_.action_id[place] = step.action;
    drafts_.target[place] = step.target;
    drafts_.first_node[place] = step.node;
    drafts_.first_trajectory[place] = first_trajectory_[at(step.chain - root_)];
    drafts_.count[place] = 0;
  }

  void add_to_edge(std::int32_t edge, const Taken& step) {
    const std::size_t place = at(begin_ + edge);
    std::int32_t& first = drafts_.first_trajectory[place];
    first = std::min(first, first_trajectory_[at(step.chain - root_)]);
    drafts_.count[place] += forest_.chains.num_trajectories[at(step.chain)];
    drafts_.node_edge[at(step.node)] = edge;
  }

  const Forest& forest_;
  std::span<const std::int32_t> key_;
  Drafts& drafts_;
  std::vector<std::int32_t> state_of_key_;  // [num_nodes], all kNone between trees
  std::int32_t begin_ = 0;                  // of the tree's nodes
  std::int32_t end_ = 0;
  std::int32_t root_ = 0;  // its root's chain
  std::vector<std::int32_t> first_trajectory_;
  std::vector<std::int32_t> place_;
  std::vector<Taken> steps_;
};

// Where each tree's own begin among all, and at the end how many they are.
Buffer<std::int32_t> offsets(const std::vector<std::int32_t>& count) {
  Buffer<std::int32_t> offset(count.size() + 1);
  offset[0] = 0;
  for (std::size_t i = 0; i < count.size(); ++i) offset[i + 1] = offset[i] + count[i];
  return offset;
}

// Puts the trees' states and edges behind one another.
StateGraph assemble(const Forest& forest, Drafts drafts, const Execution& execution) {
  Buffer<std::int32_t> first_state = offsets(drafts.num_states);
  const Buffer<std::int32_t> edges_before = offsets(drafts.num_edges);
  const std::size_t num_edges = at(edges_before[drafts.num_edges.size()]);
  Buffer<std::int32_t> first_edge(at(first_state[drafts.num_states.size()]) + 1);
  first_edge[first_edge.size() - 1] = static_cast<std::int32_t>(num_edges);
  Buffer<std::int32_t> action_id(num_edges);
  Buffer<std::int32_t> target(num_edges);
  Buffer<std::int32_t> first_node(num_edges);
  Buffer<std::int32_t> first_trajectory(num_edges);
  Buffer<std::int64_t> count(num_edges);
  parallel_for(num_trees(forest), execution, [&](std::int32_t tree, std::int32_t, Watch&) {
    const auto [begin, end] = nodes_of(forest, tree);
    const std::int32_t states = first_state[at(tree)];
    const std::int32_t edges = edges_before[at(tree)];
    for (std::int32_t node = begin; node < end; ++node) {
      drafts.node_state[at(node)] += states;
      if (drafts.node_edge[at(node)] != kNone) drafts.node_edge[at(node)] += edges;
    }
    for (std::int32_t i = 0; i < drafts.num_states[at(tree)]; ++i) {
      first_edge[at(states + i)] = drafts.first_edge[at(begin + i)] + edges;
    }
    for (std::int32_t i = 0; i < drafts.num_edges[at(tree)]; ++i) {
      target[at(edges + i)] = drafts.target[at(begin + i)] + states;
    }
    const auto move = [&, begin = begin](const auto& from, auto& to) {
      std::copy_n(from.data() + begin, drafts.num_edges[at(tree)], to.data() + edges);
    };
    move(drafts.action_id, action_id);
    move(drafts.first_node, first_node);
    move(drafts.first_trajectory, first_trajectory);
    move(drafts.count, count);
  });
  return {forest.chains.parent,   std::move(drafts.node_state), std::move(drafts.node_edge),
          std::move(first_state), std::move(first_edge),        std::move(action_id),
          std::move(target),      std::move(first_node),        std::move(first_trajectory),
          std::move(count)};
}

}  // namespace

StateGraph build_state_graph(const Forest& forest, std::span<const std::int32_t> key,
                             const Execution& execution) {
  check(forest, key);
  Drafts drafts(forest);
  parallel_for_with(
      num_trees(forest), execution, [&] { return TreeStates(forest, key, drafts); },
      [](TreeStates& states, std::int32_t tree, Watch& watch) { states.draft(tree, watch); });
  return assemble(forest, std::move(drafts), execution);
}

void check_is_of(const Forest& forest, const StateGraph& graph) {
  if (graph.of_forest.data() != forest.chains.parent.data()) {
    refuse("the state graph is of another forest");
  }
}

Column<std::int32_t> edge_source(const StateGraph& graph) {
  Buffer<std::int32_t> source(at(num_edges(graph)));
  for (std::int32_t state = 0; state < num_states(graph); ++state) {
    std::fill(source.begin() + graph.first_edge[at(state)],
              source.begin() + graph.first_edge[at(state) + 1], state);
  }
  return source;
}

}  // namespace w2stree
