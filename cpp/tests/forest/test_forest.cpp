#include <limits>
#include <string>

#include "support/check.hpp"
#include "support/episodes.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/forest/node_columns.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;

// The picture of forest.hpp, with a second tree after it.
Episodes picture() {
  return Episodes()
      .add(0, "ab", 1.0)
      .add(1, "a", 2.0)
      .add(0, "ac", 0.25)
      .add(0, "d", 0.5)
      .add(0, "a", 4.0)
      .add(1, "", 8.0);
}

void numbers_nodes_in_preorder() {
  const Forest forest = build_forest(picture().columns());
  CHECK(root_node(forest) == Ids{0, 5});
  CHECK(node_parent(forest) == Ids{-1, 0, 1, 1, 0, -1, 5});
  CHECK(node_subtree_end(forest) == Ids{5, 4, 3, 4, 5, 7, 7});
  CHECK(forest.action_id == Ids{-1, 0, 1, 2, 3, -1, 0});
  CHECK(forest.observation_id == Ids{-1, 0, 0, 0, 0, -1, 0});
  CHECK(node_depth(forest) == Ids{0, 1, 2, 2, 1, 0, 1});
}

void counts_what_passes_and_what_ends() {
  const Forest forest = build_forest(picture().columns());
  CHECK(node_num_trajectories(forest) == Ids{4, 3, 1, 1, 1, 2, 1});
  CHECK(node_num_terminal(forest) == Ids{0, 1, 1, 1, 1, 1, 1});
  CHECK(node_num_children(forest) == Ids{2, 2, 0, 0, 0, 1, 0});
  CHECK(node_return_sum(forest) == std::vector<double>{5.75, 5.25, 1.0, 0.25, 0.5, 10.0, 2.0});
}

void slices_trajectories_by_subtree() {
  const Forest forest = build_forest(picture().columns());
  CHECK(end_node(forest) == Ids{2, 6, 3, 4, 1, 5});
  CHECK(forest.trajectory_order == Ids{4, 0, 2, 3, 5, 1});
  CHECK(node_first_trajectory(forest) == Ids{0, 0, 1, 2, 3, 4, 5});
  const auto ending = trajectories_ending_at(forest, chain_of(forest, 1));
  CHECK(Ids(ending.begin(), ending.end()) == Ids{4});
}

void knows_the_node_of_each_step() {
  // Trajectories in input order: ab, a of the second tree, ac, d, a, and one without steps.
  const Forest forest = build_forest(picture().columns());
  CHECK(step_node(forest) == Ids{1, 2, 6, 1, 3, 4, 1});
  CHECK(step_node(Forest{}).empty());
}

void keeps_siblings_in_insertion_order() {
  const Forest forest = build_forest(
      Episodes().add(0, "c", 0).add(0, "a", 0).add(0, "b", 0).add(0, "a", 0).columns());
  CHECK(forest.action_id == Ids{-1, 2, 0, 1});
  CHECK(forest.trajectory_order == Ids{0, 1, 3, 2});
}

void tells_decisions_from_luck() {
  const Forest luck = build_forest(Episodes().add(0, "a", 0).add(0, "A", 0).columns());
  CHECK(node_num_children(luck)[0] == 2 && node_num_actions(luck)[0] == 1);
  CHECK(!is_decision_divergence(luck, 0));
  const Forest both =
      build_forest(Episodes().add(0, "a", 0).add(0, "b", 0).add(0, "A", 0).columns());
  CHECK(node_num_children(both)[0] == 3 && node_num_actions(both)[0] == 2);
  CHECK(is_decision_divergence(both, 0));
}

void gives_every_tree_a_root() {
  Episodes none;
  none.num_trees = 2;
  const Forest forest = build_forest(none.columns());
  CHECK(root_node(forest) == Ids{0, 1});
  CHECK(node_num_trajectories(forest) == Ids{0, 0});
}

void survives_a_million_steps() {  // no recursion
  const Forest forest = build_forest(Episodes().add(0, std::string(1'000'000, 'a'), 1).columns());
  CHECK(num_nodes(forest) == 1'000'001);
  CHECK(node_subtree_end(forest)[0] == 1'000'001);
}

template <class Change>
void check_message(Change change, const std::string& message) {
  Episodes episodes = picture();
  change(episodes);
  CHECK_REFUSED(build_forest(episodes.columns()), message);
}

void names_the_place_of_bad_input() {
  check_message([](Episodes& e) { e.total_return[3] = std::numeric_limits<double>::quiet_NaN(); },
                "total_return[3]=nan is not finite");
  check_message([](Episodes& e) { e.total_return[0] = -std::numeric_limits<double>::infinity(); },
                "total_return[0]=-inf is not finite");
  check_message([](Episodes& e) { e.step_offset[2] = 1; }, "step_offset[2]=1 < step_offset[1]=2");
  check_message([](Episodes& e) { e.step_offset[0] = 1; }, "step_offset[0]=1; expected 0");
  check_message([](Episodes& e) { e.step_offset.back() = 9; },
                "step_offset[6]=9; expected 7, the length of action_id");
  check_message([](Episodes& e) { e.tree_id[2] = 9; }, "tree_id[2]=9 outside [0, 2)");
  check_message([](Episodes& e) { e.tree_id[2] = -1; }, "tree_id[2]=-1 outside [0, 2)");
  check_message([](Episodes& e) { e.action_id[1] = -5; }, "action_id[1]=-5 is negative");
  check_message([](Episodes& e) { e.observation_id[6] = -1; }, "observation_id[6]=-1 is negative");
  check_message([](Episodes& e) { e.num_trees = -1; }, "num_trees=-1 is negative");
  check_message([](Episodes& e) { e.observation_id.pop_back(); },
                "observation_id has 6 elements; expected 7, as in action_id");
  check_message([](Episodes& e) { e.step_offset.pop_back(); },
                "step_offset has 6 elements; expected 7, one more than tree_id");
  check_message([](Episodes& e) { e.total_return.push_back(0); },
                "total_return has 7 elements; expected 6, as in tree_id");
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({numbers_nodes_in_preorder, counts_what_passes_and_what_ends,
              slices_trajectories_by_subtree, knows_the_node_of_each_step,
              keeps_siblings_in_insertion_order, tells_decisions_from_luck, gives_every_tree_a_root,
              survives_a_million_steps, names_the_place_of_bad_input});
}
