// Arrays by node are written by threads, block by block and in strides that run over a chain's end:
// they must be what each chain says of its own nodes, whoever writes the chain before or behind.
#include <algorithm>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "support/check.hpp"
#include "support/episodes.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/forest/node_columns.hpp"

namespace w2stree::test {
namespace {

// Chains and trajectories for blocks enough that all threads have some; most chains have a few
// nodes, some several strides of them.
Forest forest_of_many_blocks() {
  constexpr std::int32_t kNumTrajectories = 100'000;
  Random random(1, 2);
  Episodes episodes;
  std::string steps;
  for (std::int32_t i = 0; i < kNumTrajectories; ++i) {
    steps.clear();
    for (auto length = random.below(random.below(9) == 0 ? 40 : 12); length > 0; --length) {
      steps += static_cast<char>((random.below(5) == 0 ? 'A' : 'a') + random.below(4));
    }
    episodes.add(i / 500, steps, static_cast<double>(random.below(8)) / 4);
  }
  return build_forest(episodes.columns());
}

// [num_nodes] of value(chain, how far the node is from the chain's first).
template <class T, class Value>
std::vector<T> by_definition(const Forest& forest, Value value) {
  std::vector<T> values;
  for (std::int32_t chain = 0; chain < num_chains(forest); ++chain) {
    const std::int32_t first = forest.chains.first_node[at(chain)];
    for (std::int32_t node = first; node <= last_node(forest, chain); ++node) {
      values.push_back(static_cast<T>(value(chain, node - first)));
    }
  }
  return values;
}

std::int32_t num_children(const Forest& forest, std::int32_t chain) {
  std::int32_t count = 0;
  for_each_child(forest, chain, [&](std::int32_t) { ++count; });
  return count;
}

void says_of_nodes_what_their_chains_do_on_any_threads() {
  const Forest forest = forest_of_many_blocks();
  const Chains& chains = forest.chains;
  using Ids = std::vector<std::int32_t>;
  const auto along = [&](const Column<std::int32_t>& value) {
    return by_definition<std::int32_t>(
        forest, [&](std::int32_t chain, std::int32_t) { return value[at(chain)]; });
  };
  const auto at_last = [&](auto value, std::int32_t inside) {
    return by_definition<std::int32_t>(forest, [&](std::int32_t chain, std::int32_t place) {
      const std::int32_t node = chains.first_node[at(chain)] + place;
      return node == last_node(forest, chain) ? value(chain) : inside;
    });
  };
  const Ids parent =
      by_definition<std::int32_t>(forest, [&](std::int32_t chain, std::int32_t place) {
        if (place > 0) return chains.first_node[at(chain)] + place - 1;
        const std::int32_t above = chains.parent[at(chain)];
        return above == kNone ? kNone : last_node(forest, above);
      });
  const Ids subtree_end =
      by_definition<std::int32_t>(forest, [&](std::int32_t chain, std::int32_t) {
        return chains.first_node[at(chains.subtree_end[at(chain)])];
      });
  const Ids depth = by_definition<std::int32_t>(
      forest,
      [&](std::int32_t chain, std::int32_t place) { return chains.depth[at(chain)] + place; });
  const Ids children = at_last([&](std::int32_t chain) { return num_children(forest, chain); }, 1);
  const Ids actions = at_last([&](std::int32_t chain) { return chains.num_actions[at(chain)]; }, 1);
  const Ids ending = at_last([&](std::int32_t chain) { return chains.num_terminal[at(chain)]; }, 0);
  const Ids through = along(chains.num_trajectories);
  const Ids first_trajectory = along(chains.first_trajectory);
  const auto return_sum = by_definition<double>(
      forest, [&](std::int32_t chain, std::int32_t) { return chains.return_sum[at(chain)]; });
  CHECK(num_chains(forest) > 5 * 16'384);  // blocks
  for (std::int32_t num_threads = 1; num_threads <= 8; ++num_threads) {
    const Execution on_threads{num_threads};
    CHECK(node_parent(forest, on_threads) == parent);
    CHECK(node_subtree_end(forest, on_threads) == subtree_end);
    CHECK(node_depth(forest, on_threads) == depth);
    CHECK(node_num_children(forest, on_threads) == children);
    CHECK(node_num_actions(forest, on_threads) == actions);
    CHECK(node_num_terminal(forest, on_threads) == ending);
    CHECK(node_num_trajectories(forest, on_threads) == through);
    CHECK(node_first_trajectory(forest, on_threads) == first_trajectory);
    CHECK(node_return_sum(forest, on_threads) == return_sum);
  }
}

void leads_every_step_to_its_node_on_any_threads() {
  const Forest forest = forest_of_many_blocks();
  const Column<std::int32_t> parent = node_parent(forest);
  std::vector<std::int32_t> end, path, steps;
  for (const std::int32_t chain : forest.end_chain) {
    end.push_back(last_node(forest, chain));
    path.clear();
    for (std::int32_t node = end.back(); parent[at(node)] != kNone; node = parent[at(node)]) {
      path.push_back(node);
    }
    steps.insert(steps.end(), path.rbegin(), path.rend());
  }
  std::vector<std::int32_t> root;
  for (std::int32_t node = 0; node < num_nodes(forest); ++node) {
    if (parent[at(node)] == kNone) root.push_back(node);
  }
  CHECK(end.size() > 5 * 16'384);
  for (std::int32_t num_threads = 1; num_threads <= 8; ++num_threads) {
    CHECK(end_node(forest, {num_threads}) == end);
    CHECK(step_node(forest, {num_threads}) == steps);
    CHECK(root_node(forest, {num_threads}) == root);
  }
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({says_of_nodes_what_their_chains_do_on_any_threads,
              leads_every_step_to_its_node_on_any_threads});
}
