#include "w2stree/states/states.hpp"

#include <pybind11/stl.h>  // std::optional

#include <optional>
#include <string>

#include "bind.hpp"
#include "w2stree/states/state_paths.hpp"

namespace {

using w2stree::Column;
using w2stree::Forest;
using w2stree::StateGraph;
using w2stree::StatePaths;
using w2stree::StateValue;

template <class T, class Noun>
auto held(Column<T> Noun::* field) {
  return [field](const Noun& noun) { return wrap(noun.*field); };
}

template <class Work>
auto wrapped_without_gil(Work work) {
  std::invoke_result_t<Work, const WithoutGil&> column;
  {
    const WithoutGil no_gil;
    column = work(no_gil);
  }
  return wrap(std::move(column));
}

StateValue parse_worth(const std::string& name) {
  if (name == "best") return StateValue::kBest;
  if (name == "mean") return StateValue::kMean;
  w2stree::refuse("value='", name, "'; expected 'best' or 'mean'");
}

StateGraph build_state_graph(const Forest& forest, const Array<std::int32_t>& key,
                             std::int32_t num_threads) {
  const std::span<const std::int32_t> keys = span(key, "key");
  const WithoutGil no_gil;
  return w2stree::build_state_graph(forest, keys, execution(no_gil, num_threads));
}

py::array_t<double> state_values(const Forest& forest, const StateGraph& graph,
                                 const std::string& value,
                                 const std::optional<Array<double>>& score) {
  const StateValue worth = parse_worth(value);
  if (!score) {
    return wrapped_without_gil(
        [&](const WithoutGil&) { return w2stree::state_values(forest, graph, worth); });
  }
  const std::span<const double> scores = span(*score, "score");
  return wrapped_without_gil(
      [&](const WithoutGil&) { return w2stree::state_values(forest, graph, scores, worth); });
}

StatePaths state_paths(const Forest& forest, const StateGraph& graph, const Array<double>& value,
                       std::optional<double> threshold, const Array<std::int32_t>& start,
                       const Array<std::int32_t>& without, std::int32_t num_threads) {
  const std::span<const double> values = span(value, "value");
  const w2stree::PathQueries queries{span(start, "start"), span(without, "without")};
  const WithoutGil no_gil;
  if (!threshold) {
    return w2stree::best_paths(forest, graph, values, queries, execution(no_gil, num_threads));
  }
  return w2stree::shortest_paths(forest, graph, values, *threshold, queries,
                                 execution(no_gil, num_threads));
}

py::array_t<std::int32_t> distance_to_goal(const StateGraph& graph, const Array<double>& value,
                                           double threshold, const Array<std::int32_t>& without,
                                           std::int32_t num_threads) {
  const std::span<const double> values = span(value, "value");
  const std::span<const std::int32_t> edges = span(without, "without");
  return wrapped_without_gil([&](const WithoutGil& no_gil) {
    return w2stree::distance_to_goal(graph, values, threshold, edges,
                                     execution(no_gil, num_threads));
  });
}

}  // namespace

void bind_states(py::module_& module) {
  py::class_<StateGraph>(module, "StateGraph")
      .def_property_readonly("num_states", &w2stree::num_states)
      .def_property_readonly("num_edges", &w2stree::num_edges)
      .def_property_readonly("node_state", held(&StateGraph::node_state))
      .def_property_readonly("node_edge", held(&StateGraph::node_edge))
      .def_property_readonly("first_state", held(&StateGraph::first_state))
      .def_property_readonly("first_edge", held(&StateGraph::first_edge))
      .def_property_readonly("action_id", held(&StateGraph::action_id))
      .def_property_readonly("target", held(&StateGraph::target))
      .def_property_readonly("first_node", held(&StateGraph::first_node))
      .def_property_readonly("first_trajectory", held(&StateGraph::first_trajectory))
      .def_property_readonly("count", held(&StateGraph::count))
      .def("source",
           [](const StateGraph& graph) {
             return wrapped_without_gil(
                 [&](const WithoutGil&) { return w2stree::edge_source(graph); });
           })
      .def(
          "previous_visit",
          [](const StateGraph& graph, const Forest& forest, std::int32_t num_threads) {
            return wrapped_without_gil([&](const WithoutGil& no_gil) {
              return w2stree::previous_visit(forest, graph, execution(no_gil, num_threads));
            });
          },
          py::arg("forest"), py::arg("num_threads") = 1);

  py::class_<StatePaths>(module, "StatePaths")
      .def_property_readonly("end", held(&StatePaths::end))
      .def_property_readonly("trajectory", held(&StatePaths::trajectory))
      .def_property_readonly("offset", held(&StatePaths::offset))
      .def_property_readonly("edge", held(&StatePaths::edge));

  module.def("build_state_graph", &build_state_graph, py::arg("forest"), py::arg("key"),
             py::arg("num_threads") = 1);
  module.def("state_values", &state_values, py::arg("forest"), py::arg("graph"), py::arg("value"),
             py::arg("score").none(true) = py::none());
  module.def("state_paths", &state_paths, py::arg("forest"), py::arg("graph"), py::arg("value"),
             py::arg("threshold").none(true), py::arg("start"), py::arg("without"),
             py::arg("num_threads") = 1);
  module.def("distance_to_goal", &distance_to_goal, py::arg("graph"), py::arg("value"),
             py::arg("threshold"), py::arg("without"), py::arg("num_threads") = 1);
}
