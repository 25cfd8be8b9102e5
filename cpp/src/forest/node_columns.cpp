#include "w2stree/forest/node_columns.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/parallel.hpp"

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

// What a thread takes at a time, a millisecond of work: chains, trees or trajectories.
constexpr std::int32_t kBlock = 1 << 14;

// write(chain, first, length): where the chain's nodes go, and how many they are. The nodes behind
// a block are another thread's: chains that would spill over them are written elsewhere and copied.
template <class T, class Write>
Column<T> by_chain(const Forest& forest, const Execution& execution, Write write) {
  Buffer<T> values(at(num_nodes(forest)), kStride);
  const std::int32_t* first_node = forest.chains.first_node.data();
  const std::int32_t num_chains = w2stree::num_chains(forest);
  const auto write_block = [=, value = values.data()](std::int32_t begin, std::int32_t end) {
    const std::int32_t limit = first_node[end] - (end == num_chains ? 0 : kStride);
    std::int32_t last = end;
    while (last > begin && first_node[last] > limit) --last;
    for (std::int32_t chain = begin; chain < last; ++chain) {
      const std::int32_t first = first_node[chain];
      write(chain, value + first, first_node[chain + 1] - first);
    }
    for (std::int32_t chain = last; chain < end; ++chain) {
      const std::int32_t length = first_node[chain + 1] - first_node[chain];
      Buffer<T> own(at(length), kStride);
      write(chain, own.data(), length);
      std::copy_n(own.data(), length, value + first_node[chain]);
    }
  };
  parallel_for_blocks(num_chains, kBlock, execution, write_block);
  return values;
}

// Steps from the root to the last node of a chain.
std::int32_t depth_of_last(const Forest& forest, std::int32_t chain) {
  return forest.chains.depth[at(chain)] + last_node(forest, chain) -
         forest.chains.first_node[at(chain)];
}

// The nodes on the way from the root, which no step leads to, to a chain's end: the last one goes
// before `stop`. From the end up, each chain being a run of them.
void write_path(const Forest& forest, std::int32_t chain, std::int32_t* stop) {
  for (; chain != kNone; chain = forest.chains.parent[at(chain)]) {
    const std::int32_t root = forest.chains.parent[at(chain)] == kNone ? 1 : 0;
    const std::int32_t first = forest.chains.first_node[at(chain)] + root;
    std::int32_t* begin = stop - (last_node(forest, chain) + 1 - first);
    std::iota(begin, stop, first);
    stop = begin;
  }
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
Column<T> along_chains(const Forest& forest, std::span<const T> value, const Execution& execution) {
  return by_chain<T>(forest, execution, [=](std::int32_t chain, T* first, std::int32_t length) {
    fill(first, length, value[at(chain)]);
  });
}

template <class T>
Column<T> at_last_nodes(const Forest& forest, std::span<const T> value, T inside,
                        const Execution& execution) {
  return by_chain<T>(forest, execution, [=](std::int32_t chain, T* first, std::int32_t length) {
    fill(first, length, inside);
    first[length - 1] = value[at(chain)];
  });
}

template Column<std::int32_t> along_chains(const Forest&, std::span<const std::int32_t>,
                                           const Execution&);
template Column<std::int64_t> along_chains(const Forest&, std::span<const std::int64_t>,
                                           const Execution&);
template Column<double> along_chains(const Forest&, std::span<const double>, const Execution&);
template Column<std::int32_t> at_last_nodes(const Forest&, std::span<const std::int32_t>,
                                            std::int32_t, const Execution&);
template Column<std::int64_t> at_last_nodes(const Forest&, std::span<const std::int64_t>,
                                            std::int64_t, const Execution&);
template Column<double> at_last_nodes(const Forest&, std::span<const double>, double,
                                      const Execution&);

Column<std::int32_t> node_parent(const Forest& forest, const Execution& execution) {
  const std::span<const std::int32_t> parent = forest.chains.parent;
  return by_chain<std::int32_t>(
      forest, execution, [&, parent](std::int32_t chain, std::int32_t* first, std::int32_t length) {
        count_up(first, length, forest.chains.first_node[at(chain)] - 1);
        *first = parent[at(chain)] == kNone ? kNone : last_node(forest, parent[at(chain)]);
      });
}

Column<std::int32_t> node_subtree_end(const Forest& forest, const Execution& execution) {
  const std::span<const std::int32_t> subtree_end = forest.chains.subtree_end;
  return by_chain<std::int32_t>(
      forest, execution,
      [&, subtree_end](std::int32_t chain, std::int32_t* first, std::int32_t length) {
        fill(first, length, forest.chains.first_node[at(subtree_end[at(chain)])]);
      });
}

Column<std::int32_t> node_depth(const Forest& forest, const Execution& execution) {
  const std::span<const std::int32_t> depth = forest.chains.depth;
  return by_chain<std::int32_t>(forest, execution,
                                [=](std::int32_t chain, std::int32_t* first, std::int32_t length) {
                                  count_up(first, length, depth[at(chain)]);
                                });
}

Column<std::int32_t> node_num_children(const Forest& forest, const Execution& execution) {
  const std::vector<std::int32_t> count = num_children(forest);
  return at_last_nodes<std::int32_t>(forest, count, 1, execution);
}

Column<std::int32_t> node_num_actions(const Forest& forest, const Execution& execution) {
  return at_last_nodes<std::int32_t>(forest, forest.chains.num_actions, 1, execution);
}

Column<std::int32_t> node_num_trajectories(const Forest& forest, const Execution& execution) {
  return along_chains<std::int32_t>(forest, forest.chains.num_trajectories, execution);
}

Column<std::int32_t> node_num_terminal(const Forest& forest, const Execution& execution) {
  return at_last_nodes<std::int32_t>(forest, forest.chains.num_terminal, 0, execution);
}

Column<std::int32_t> node_first_trajectory(const Forest& forest, const Execution& execution) {
  return along_chains<std::int32_t>(forest, forest.chains.first_trajectory, execution);
}

Column<double> node_return_sum(const Forest& forest, const Execution& execution) {
  return along_chains<double>(forest, forest.chains.return_sum, execution);
}

Column<std::int32_t> root_node(const Forest& forest, const Execution& execution) {
  Buffer<std::int32_t> root(at(num_trees(forest)));
  parallel_for_blocks(
      num_trees(forest), kBlock, execution, [&](std::int32_t begin, std::int32_t end) {
        for (std::int32_t tree = begin; tree < end; ++tree) {
          root[at(tree)] = forest.chains.first_node[at(forest.root_chain[at(tree)])];
        }
      });
  return root;
}

Column<std::int32_t> end_node(const Forest& forest, const Execution& execution) {
  Buffer<std::int32_t> node(at(num_trajectories(forest)));
  parallel_for_blocks(
      num_trajectories(forest), kBlock, execution, [&](std::int32_t begin, std::int32_t end) {
        for (std::int32_t trajectory = begin; trajectory < end; ++trajectory) {
          node[at(trajectory)] = last_node(forest, forest.end_chain[at(trajectory)]);
        }
      });
  return node;
}

Column<std::int32_t> step_node(const Forest& forest, const Execution& execution) {
  std::vector<std::int64_t> end_step;  // of each trajectory: one past its last
  end_step.reserve(forest.end_chain.size());
  std::int64_t num_steps = 0;
  for (const std::int32_t chain : forest.end_chain) {
    end_step.push_back(num_steps += depth_of_last(forest, chain));
  }
  Buffer<std::int32_t> node(static_cast<std::size_t>(num_steps));
  parallel_for_blocks(num_trajectories(forest), kBlock, execution,
                      [&](std::int32_t begin, std::int32_t end) {
                        for (std::int32_t trajectory = begin; trajectory < end; ++trajectory) {
                          write_path(forest, forest.end_chain[at(trajectory)],
                                     node.data() + end_step[at(trajectory)]);
                        }
                      });
  return node;
}

}  // namespace w2stree
