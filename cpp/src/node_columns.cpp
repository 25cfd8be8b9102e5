#include "w2stree/node_columns.hpp"

#include <algorithm>
#include <numeric>

namespace w2stree {
namespace {

// write(chain, first, last): iterators to the chain's first node and its last.
template <class T, class Write>
Column<T> by_chain(const Forest& forest, Write write) {
  Buffer<T> values(at(num_nodes(forest)));
  for (std::int32_t chain = 0; chain < num_chains(forest); ++chain) {
    write(chain, values.data() + forest.chains.first_node[at(chain)],
          values.data() + last_node(forest, chain));
  }
  return values;
}

}  // namespace

template <class T>
Column<T> along_chains(const Forest& forest, std::span<const T> value) {
  return by_chain<T>(forest, [&](std::int32_t chain, T* first, T* last) {
    std::fill(first, last + 1, value[at(chain)]);
  });
}

template <class T>
Column<T> at_last_nodes(const Forest& forest, std::span<const T> value, T inside) {
  return by_chain<T>(forest, [&](std::int32_t chain, T* first, T* last) {
    std::fill(first, last, inside);
    *last = value[at(chain)];
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
  return by_chain<std::int32_t>(forest, [&](std::int32_t chain, auto* first, auto* last) {
    const std::int32_t parent = forest.chains.parent[at(chain)];
    *first = parent == kNone ? kNone : last_node(forest, parent);
    std::iota(first + 1, last + 1, forest.chains.first_node[at(chain)]);
  });
}

Column<std::int32_t> node_subtree_end(const Forest& forest) {
  return by_chain<std::int32_t>(forest, [&](std::int32_t chain, auto* first, auto* last) {
    const std::int32_t end = forest.chains.subtree_end[at(chain)];
    std::fill(first, last + 1, forest.chains.first_node[at(end)]);
  });
}

Column<std::int32_t> node_depth(const Forest& forest) {
  return by_chain<std::int32_t>(forest, [&](std::int32_t chain, auto* first, auto* last) {
    std::iota(first, last + 1, forest.chains.depth[at(chain)]);
  });
}

Column<std::int32_t> node_num_children(const Forest& forest) {
  return by_chain<std::int32_t>(forest, [&](std::int32_t chain, auto* first, auto* last) {
    std::fill(first, last, 1);
    *last = 0;
    for_each_child(forest, chain, [&](std::int32_t) { *last += 1; });
  });
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

}  // namespace w2stree
