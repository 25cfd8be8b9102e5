#include "w2stree/forest/node_columns.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace w2stree {
namespace {

// Chains are short, a handful of nodes: loops of a length known to the compiler, which may write
// past a chain's end, are several times faster than exact ones. What they spill is overwritten
// by the next chain, or lies in the padding after the last.
constexpr std::int32_t kStride = 8;

template <class T>
void fill(T* first, std::int32_t length, T value) {
  for (std::int32_t i = 0; i < length; i += kStride) {
    for (std::int32_t k = 0; k < kStride; ++k) first[i + k] = value;
  }
}

void count_up(std::int32_t* first, std::int32_t length, std::int32_t from) {
  for (std::int32_t i = 0; i < length; i += kStride) {
    for (std::int32_t k = 0; k < kStride; ++k) first[i + k] = from + i + k;
  }
}

// write(chain, first, length): where the chain's nodes go, and how many they are.
template <class T, class Write>
Column<T> by_chain(const Forest& forest, Write write) {
  Buffer<T> values(at(num_nodes(forest)), kStride);
  const std::span<const std::int32_t> first_node = forest.chains.first_node;
  for (std::int32_t chain = 0; chain < num_chains(forest); ++chain) {
    const std::int32_t first = first_node[at(chain)];
    write(chain, values.data() + first, first_node[at(chain) + 1] - first);
  }
  return values;
}

// Steps from the root to the last node of a chain.
std::int32_t depth_of_last(const Forest& forest, std::int32_t chain) {
  return forest.chains.depth[at(chain)] + last_node(forest, chain) -
         forest.chains.first_node[at(chain)];
}

std::vector<std::int32_t> num_children(const Forest& forest) {
  std::vector<std::int32_t> count(at(num_chains(forest)), 0);
  for (const std::int32_t parent : forest.chains.parent) {
    if (parent != kNone) ++count[at(parent)];
  }
  return count;
}

}  // namespace

template <class T>
Column<T> along_chains(const Forest& forest, std::span<const T> value) {
  return by_chain<T>(forest, [=](std::int32_t chain, T* first, std::int32_t length) {
    fill(first, length, value[at(chain)]);
  });
}

template <class T>
Column<T> at_last_nodes(const Forest& forest, std::span<const T> value, T inside) {
  return by_chain<T>(forest, [=](std::int32_t chain, T* first, std::int32_t length) {
    fill(first, length, inside);
    first[length - 1] = value[at(chain)];
  });
}

template Column<std::int32_t> along_chains(const Forest&, std::span<const std::int32_t>);
template Column<std::int64_t> along_chains(const Forest&, std::span<const std::int64_t>);
template Column<double> along_chains(const Forest&, std::span<const double>);
template Column<std::int32_t> at_last_nodes(const Forest&, std::span<const std::int32_t>,
                                            std::int32_t);
template Column<std::int64_t> at_last_nodes(const Forest&, std::span<const std::int64_t>,
                                            std::int64_t);
template Column<double> at_last_nodes(const Forest&, std::span<const double>, double);

Column<std::int32_t> node_parent(const Forest& forest) {
  const std::span<const std::int32_t> parent = forest.chains.parent;
  return by_chain<std::int32_t>(
      forest, [&, parent](std::int32_t chain, std::int32_t* first, std::int32_t length) {
        count_up(first, length, forest.chains.first_node[at(chain)] - 1);
        *first = parent[at(chain)] == kNone ? kNone : last_node(forest, parent[at(chain)]);
      });
}

Column<std::int32_t> node_subtree_end(const Forest& forest) {
  const std::span<const std::int32_t> subtree_end = forest.chains.subtree_end;
  return by_chain<std::int32_t>(
      forest, [&, subtree_end](std::int32_t chain, std::int32_t* first, std::int32_t length) {
        fill(first, length, forest.chains.first_node[at(subtree_end[at(chain)])]);
      });
}

Column<std::int32_t> node_depth(const Forest& forest) {
  const std::span<const std::int32_t> depth = forest.chains.depth;
  return by_chain<std::int32_t>(forest,
                                [=](std::int32_t chain, std::int32_t* first, std::int32_t length) {
                                  count_up(first, length, depth[at(chain)]);
                                });
}

Column<std::int32_t> node_num_children(const Forest& forest) {
  const std::vector<std::int32_t> count = num_children(forest);
  return at_last_nodes<std::int32_t>(forest, count, 1);
}

Column<std::int32_t> node_num_actions(const Forest& forest) {
  return at_last_nodes<std::int32_t>(forest, forest.chains.num_actions, 1);
}

Column<std::int32_t> node_num_trajectories(const Forest& forest) {
  return along_chains<std::int32_t>(forest, forest.chains.num_trajectories);
}

Column<std::int32_t> node_num_terminal(const Forest& forest) {
  return at_last_nodes<std::int32_t>(forest, forest.chains.num_terminal, 0);
}

Column<std::int32_t> node_first_trajectory(const Forest& forest) {
  return along_chains<std::int32_t>(forest, forest.chains.first_trajectory);
}

Column<double> node_return_sum(const Forest& forest) {
  return along_chains<double>(forest, forest.chains.return_sum);
}

Column<std::int32_t> root_node(const Forest& forest) {
  Buffer<std::int32_t> root(at(num_trees(forest)));
  for (std::size_t tree = 0; tree < root.size(); ++tree) {
    root[tree] = forest.chains.first_node[at(forest.root_chain[tree])];
  }
  return root;
}

Column<std::int32_t> end_node(const Forest& forest) {
  Buffer<std::int32_t> end(at(num_trajectories(forest)));
  std::ranges::transform(forest.end_chain, end.begin(),
                         [&](std::int32_t chain) { return last_node(forest, chain); });
  return end;
}

Column<std::int32_t> step_node(const Forest& forest) {
  const Chains& chains = forest.chains;
  std::size_t num_steps = 0;
  for (const std::int32_t chain : forest.end_chain) num_steps += at(depth_of_last(forest, chain));
  Buffer<std::int32_t> node(num_steps);
  std::int32_t* end = node.data();
  for (const std::int32_t last : forest.end_chain) {
    end += depth_of_last(forest, last);
    std::int32_t* stop = end;  // of the steps not yet written; each chain is a run of them
    for (std::int32_t chain = last; chain != kNone; chain = chains.parent[at(chain)]) {
      const std::int32_t root = chains.parent[at(chain)] == kNone ? 1 : 0;  // no step leads to it
      const std::int32_t first = chains.first_node[at(chain)] + root;
      std::int32_t* begin = stop - (last_node(forest, chain) + 1 - first);
      std::iota(begin, stop, first);
      stop = begin;
    }
  }
  return node;
}

}  // namespace w2stree
