#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/check.hpp"
#include "support/episodes.hpp"
#include "w2stree/states/state_paths.hpp"
#include "w2stree/states/states.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;
using Values = std::vector<double>;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// abc 0.2, da 0.5, dde 1.0:
//   node       0  1a 2b 3c  4d 5a 6d 7e       states: 0 the root, 1 after a, …; "d" once more from
//   state      0  1  2  3   4  1  4  5        4 stays in 4
Forest crossed() {
  return build_forest(Episodes().add(0, "abc", 0.2).add(0, "da", 0.5).add(0, "dde", 1.0).columns());
}
const Ids kCrossedKeys = {kNone, 0, kNone, kNone, 1, 0, 1, kNone};

template <class T>
bool equal(const Column<T>& column, const std::vector<T>& values) {
  return std::ranges::equal(column, values);
}

// Equal, every NaN being like another.
bool equal_or_nan(const Column<double>& column, const Values& values) {
  return std::ranges::equal(column, values, [](double left, double right) {
    return left == right || (std::isnan(left) && std::isnan(right));
  });
}

void puts_equal_keys_together() {
  const Forest forest = crossed();
  const StateGraph graph = build_state_graph(forest, kCrossedKeys);
  CHECK(num_states(graph) == 6);
  CHECK(equal(graph.node_state, {0, 1, 2, 3, 4, 1, 4, 5}));
  CHECK(equal(graph.first_state, {0, 6}));
  CHECK(equal(edge_source(graph), {0, 0, 1, 2, 4, 4, 4}));
  CHECK(equal(graph.action_id, {0, 3, 1, 2, 0, 3, 4}));
  CHECK(equal(graph.target, {1, 4, 2, 3, 1, 4, 5}));
  CHECK(equal(graph.first_edge, {0, 2, 3, 4, 4, 7, 7}));
  CHECK(equal(graph.first_node, {1, 4, 2, 3, 5, 6, 7}));
  CHECK(equal(graph.first_trajectory, {0, 1, 0, 0, 1, 2, 2}));
  CHECK(equal<std::int64_t>(graph.count, {1, 2, 1, 1, 1, 1, 1}));
  CHECK(equal(graph.node_edge, {kNone, 0, 2, 3, 1, 4, 5, 6}));
  CHECK(equal(previous_visit(forest, graph), {-1, -1, -1, -1, -1, -1, 4, -1}));
}

void trees_share_no_state() {
  const Forest forest =
      build_forest(Episodes().add(0, "a", 0.0).add(1, "a", 1.0).add(2, "", 0.5).columns());
  const StateGraph graph = build_state_graph(forest, Ids(5, 3));
  CHECK(equal(graph.node_state, {0, 0, 1, 1, 2}));
  CHECK(equal(graph.first_state, {0, 1, 2, 3}));
  CHECK(equal(graph.target, {0, 1}));
  CHECK(equal(previous_visit(forest, graph), {-1, 0, -1, 2, -1}));
}

void a_forest_of_nothing_has_no_states() {
  const Forest forest;
  const StateGraph graph = build_state_graph(forest, {});
  CHECK(num_states(graph) == 0);
  CHECK(num_edges(graph) == 0);
  CHECK(state_values(forest, graph, StateValue::kBest).empty());
  CHECK(best_paths(forest, graph, {}, {}).end.empty());
  CHECK(distance_to_goal(graph, {}, 0.5, {}).empty());
}

void values_are_of_endings_or_of_scores() {
  const Forest forest = build_forest(Episodes()
                                         .add(0, "a", 0.25)
                                         .add(0, "ab", 0.5)
                                         .add(0, "ab", 0.0)
                                         .add(0, "c", 0.75)
                                         .columns());  // nodes: root, a, ab, c
  const StateGraph graph = build_state_graph(forest, Ids{kNone, 2, 2, kNone});
  CHECK(equal_or_nan(state_values(forest, graph, StateValue::kBest), {kNaN, 0.5, 0.75}));
  CHECK(equal_or_nan(state_values(forest, graph, StateValue::kMean), {kNaN, 0.25, 0.75}));
  const Values scores = {0.0, 1.0, 4.0, kNaN};
  CHECK(equal_or_nan(state_values(forest, graph, scores, StateValue::kBest), {0.0, 4.0, kNaN}));
  // Three trajectories pass through a, two through ab.
  CHECK(equal_or_nan(state_values(forest, graph, scores, StateValue::kMean), {0.0, 2.2, kNaN}));
}

void paths_join_pieces_of_runs() {
  const Forest forest = crossed();
  const StateGraph graph = build_state_graph(forest, kCrossedKeys);
  const Values value = {kNaN, 0.5, kNaN, 0.2, kNaN, 1.0};
  const Ids start = {0, 1, 4, 3, 5};
  const StatePaths best = best_paths(forest, graph, value, {start, {}});
  CHECK(equal(best.end, {5, 1, 5, 3, 5}));
  CHECK(equal<std::int64_t>(best.offset, {0, 2, 2, 3, 3, 3}));
  CHECK(equal(best.edge, {1, 6, 6}));               // the second d of "dde" is left out
  CHECK(equal(best.trajectory, {-1, 1, 2, 0, 2}));  // as they end: da, e, abc, dde
  const StatePaths nearest = shortest_paths(forest, graph, value, 0.5, {start, {}});
  CHECK(equal(nearest.end, {1, 1, 1, kNone, 5}));
  CHECK(equal(nearest.edge, {0, 4}));
  CHECK(equal(nearest.trajectory, {-1, 1, 1, -1, 2}));
  CHECK(equal(distance_to_goal(graph, value, 0.5, {}), {1, 0, -1, -1, 1, 0}));
  CHECK(equal(distance_to_goal(graph, value, 1.0, {}), {2, -1, -1, -1, 1, 0}));
  const Ids without = {6, 0};
  const Ids root = {0};
  const StatePaths others = best_paths(forest, graph, value, {root, without});
  CHECK(equal(others.end, {1}));
  CHECK(equal(others.edge, {1, 4}));
  CHECK(equal(others.trajectory, {1}));
  CHECK(equal(distance_to_goal(graph, value, 0.5, without), {2, 0, -1, -1, 1, 0}));
}

// All but the last differ by rounding alone: the nearest is taken, not the greatest.
void equal_values_go_to_the_nearest() {
  const Forest forest = build_forest(Episodes()
                                         .add(0, "ab", 0.1 + 0.2)
                                         .add(0, "c", 0.3)
                                         .add(0, "d", 0.3)
                                         .add(0, "e", 0.2)
                                         .columns());
  const StateGraph graph = build_state_graph(forest, Ids(6, kNone));
  const Column<double> value = state_values(forest, graph, StateValue::kBest);
  const Ids root = {0};
  const StatePaths best = best_paths(forest, graph, value, {root, {}});
  CHECK(equal(best.end, {3}));
  CHECK(equal(best.trajectory, {1}));
  CHECK(equal(shortest_paths(forest, graph, value, 0.1 + 0.2, {root, {}}).end, {3}));
}

// Fifty trees of crowded runs, alike for any number of threads.
void threads_change_nothing() {
  Episodes episodes;
  for (int i = 0; i < 2000; ++i) {
    std::string steps;
    for (int k = 0; k < i % 9; ++k) steps += static_cast<char>('a' + i * 7919 / (k + 1) % 5);
    episodes.add(i % 50, steps, i * 13 % 11 / 10.0);
  }
  const Forest forest = build_forest(episodes.columns());
  Ids key;
  for (std::int32_t node = 0; node < num_nodes(forest); ++node) {
    key.push_back(node * 31 % 7 == 0 ? kNone : node * 17 % 23);
  }
  const StateGraph one = build_state_graph(forest, key);
  const Column<double> value = state_values(forest, one, StateValue::kMean);
  Ids start(at(num_states(one)));
  for (std::size_t i = 0; i < start.size(); ++i) start[i] = static_cast<std::int32_t>(i);
  const PathQueries queries{start, {}};
  const StatePaths best = best_paths(forest, one, value, queries);
  const Column<std::int32_t> distance = distance_to_goal(one, value, 0.7, {});
  for (std::size_t i = 0; i < start.size(); ++i) {
    const StatePaths path =
        shortest_paths(forest, one, value, 0.7, {std::span(start).subspan(i, 1), {}});
    CHECK(path.end[0] == kNone ? distance[i] == kNone : path.offset[1] == distance[i]);
  }
  for (const std::int32_t num_threads : {2, 3, 8}) {
    const Execution execution{num_threads};
    const StateGraph many = build_state_graph(forest, key, execution);
    CHECK(many.node_state == one.node_state);
    CHECK(many.node_edge == one.node_edge);
    CHECK(many.first_state == one.first_state);
    CHECK(many.first_edge == one.first_edge);
    CHECK(many.action_id == one.action_id);
    CHECK(many.target == one.target);
    CHECK(many.first_node == one.first_node);
    CHECK(many.first_trajectory == one.first_trajectory);
    CHECK(many.count == one.count);
    CHECK(previous_visit(forest, many, execution) == previous_visit(forest, one));
    const StatePaths again = best_paths(forest, many, value, queries, execution);
    CHECK(again.end == best.end);
    CHECK(again.trajectory == best.trajectory);
    CHECK(again.offset == best.offset);
    CHECK(again.edge == best.edge);
    CHECK(distance_to_goal(many, value, 0.7, {}, execution) == distance);
  }
}

void refuses_what_does_not_fit() {
  const Forest forest = crossed();
  const StateGraph graph = build_state_graph(forest, kCrossedKeys);
  CHECK_REFUSED(build_state_graph(forest, Ids(7, 0)), "key has 7 elements; expected 8");
  CHECK_REFUSED(build_state_graph(forest, Ids{0, 0, 8, 0, 0, 0, 0, 0}),
                "key[2]=8; expected -1 or an id below 8");
  CHECK_REFUSED(build_state_graph(forest, Ids{0, -2, 8, 0, 0, 0, 0, 0}),
                "key[1]=-2; expected -1 or an id below 8");
  CHECK_REFUSED(build_state_graph(forest, kCrossedKeys, {0}), "num_threads=0; expected at least 1");
  const Forest other = crossed();
  CHECK_REFUSED(previous_visit(other, graph), "the state graph is of another forest");
  CHECK_REFUSED(state_values(other, graph, StateValue::kBest),
                "the state graph is of another forest");

  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  CHECK_REFUSED(state_values(forest, graph, Values(3, 0.0), StateValue::kBest),
                "scores has 3 elements; expected 8");
  CHECK_REFUSED(
      state_values(forest, graph, Values{0, 0, 0, kInfinity, 0, 0, 0, 0}, StateValue::kBest),
      "scores[3]=inf; expected a finite number, or NaN for none");
  CHECK_REFUSED(state_values(forest, graph, Values{0, 1e308, 0, 0, 0, 0, 0, 0}, StateValue::kMean),
                "scores[1]=1e+308 is too large to be added up over 3 trajectories");

  const Values value(6, 0.0);
  const Ids start = {0, 6};
  const Ids without = {6, 7};
  CHECK_REFUSED(best_paths(forest, graph, Values(5, 0.0), {}), "value has 5 elements; expected 6");
  CHECK_REFUSED(best_paths(forest, graph, value, {start, {}}),
                "start[1]=6; expected one of 6 states");
  CHECK_REFUSED(best_paths(forest, graph, value, {{}, without}),
                "without[1]=7; expected one of 7 edges");
  CHECK_REFUSED(best_paths(other, graph, value, {}), "the state graph is of another forest");
  CHECK_REFUSED(shortest_paths(forest, graph, value, kNaN, {}),
                "threshold=nan; expected a finite number");
  CHECK_REFUSED(distance_to_goal(graph, value, kInfinity, {}),
                "threshold=inf; expected a finite number");
  CHECK_REFUSED(distance_to_goal(graph, Values(7, 0.0), 0.5, {}),
                "value has 7 elements; expected 6");
  CHECK_REFUSED(distance_to_goal(graph, value, 0.5, without),
                "without[1]=7; expected one of 7 edges");
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({puts_equal_keys_together, trees_share_no_state, a_forest_of_nothing_has_no_states,
              values_are_of_endings_or_of_scores, paths_join_pieces_of_runs,
              equal_values_go_to_the_nearest, threads_change_nothing, refuses_what_does_not_fit});
}
