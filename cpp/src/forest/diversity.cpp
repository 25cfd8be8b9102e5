#include "w2stree/forest/diversity.hpp"

namespace w2stree {
namespace {

// Steps of the trajectories that end at the last node of a chain.
std::int32_t num_steps(const Forest& forest, std::int32_t chain) {
  return forest.chains.depth[at(chain)] + last_node(forest, chain) -
         forest.chains.first_node[at(chain)];
}

// Where no node has two actions, sequences differ in length alone.
bool has_one_action_sequence(const Forest& forest, std::int32_t tree) {
  std::int32_t length = kNone;
  const std::int32_t end = forest.root_chain[at(tree) + 1];
  for (std::int32_t chain = forest.root_chain[at(tree)]; chain < end; ++chain) {
    if (is_decision_divergence(forest, chain)) return false;
    if (forest.chains.num_terminal[at(chain)] == 0) continue;
    if (length != kNone && num_steps(forest, chain) != length) return false;
    length = num_steps(forest, chain);
  }
  return true;
}

}  // namespace

std::vector<std::int32_t> trees_of_one_action_sequence(const Forest& forest) {
  std::vector<std::int32_t> trees;
  for (std::int32_t tree = 0; tree < num_trees(forest); ++tree) {
    if (forest.chains.num_trajectories[at(forest.root_chain[at(tree)])] < 2) continue;
    if (has_one_action_sequence(forest, tree)) trees.push_back(tree);
  }
  return trees;
}

}  // namespace w2stree
