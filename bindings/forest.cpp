#include "w2stree/forest/forest.hpp"

#include "bind.hpp"
#include "w2stree/forest/diversity.hpp"
#include "w2stree/forest/node_columns.hpp"

namespace {

using w2stree::Column;
using w2stree::Forest;

Forest build_forest(const Array<std::int32_t>& action_id, const Array<std::int32_t>& observation_id,
                    const Array<std::int64_t>& step_offset, const Array<std::int32_t>& tree_id,
                    const Array<double>& total_return, std::int32_t num_trees,
                    std::int32_t num_threads) {
  const auto all =
      columns(action_id, observation_id, step_offset, tree_id, total_return, num_trees);
  const WithoutGil no_gil;
  return w2stree::build_forest(all, execution(no_gil, num_threads));
}

// Getters: one column the forest holds, and one that is written out on demand.
template <class T>
auto held(Column<T> Forest::* field) {
  return [field](const Forest& forest) { return wrap(forest.*field); };
}

template <class T>
auto expanded(Column<T> (*expand)(const Forest&, const w2stree::Execution&)) {
  return [expand](const Forest& forest, std::int32_t num_threads) {
    Column<T> column;
    {
      const WithoutGil no_gil;
      column = expand(forest, execution(no_gil, num_threads));
    }
    return wrap(std::move(column));
  };
}

}  // namespace

void bind_forest(py::module_& module) {
  const auto num_threads = py::arg("num_threads") = 1;
  py::class_<Forest>(module, "Forest")
      .def(py::init<>())  // no trees: what a forest grows from
      .def_property_readonly("num_bytes", &w2stree::num_bytes)
      .def_property_readonly("num_nodes", &w2stree::num_nodes)
      .def_property_readonly("num_chains", &w2stree::num_chains)
      .def_property_readonly("num_trees", &w2stree::num_trees)
      .def_property_readonly("num_trajectories", &w2stree::num_trajectories)
      .def_property_readonly("action_id", held(&Forest::action_id))
      .def_property_readonly("observation_id", held(&Forest::observation_id))
      .def_property_readonly("root_chain", held(&Forest::root_chain))
      .def_property_readonly("end_chain", held(&Forest::end_chain))
      .def_property_readonly("trajectory_order", held(&Forest::trajectory_order))
      .def_property_readonly("total_return", held(&Forest::total_return))
      .def("node_parent", expanded(w2stree::node_parent), num_threads)
      .def("node_subtree_end", expanded(w2stree::node_subtree_end), num_threads)
      .def("node_depth", expanded(w2stree::node_depth), num_threads)
      .def("node_num_children", expanded(w2stree::node_num_children), num_threads)
      .def("node_num_actions", expanded(w2stree::node_num_actions), num_threads)
      .def("node_num_trajectories", expanded(w2stree::node_num_trajectories), num_threads)
      .def("node_num_terminal", expanded(w2stree::node_num_terminal), num_threads)
      .def("node_first_trajectory", expanded(w2stree::node_first_trajectory), num_threads)
      .def("node_return_sum", expanded(w2stree::node_return_sum), num_threads)
      .def("root_node", expanded(w2stree::root_node), num_threads)
      .def("end_node", expanded(w2stree::end_node), num_threads)
      .def("step_node", expanded(w2stree::step_node), num_threads);

  module.def("build_forest", &build_forest, py::arg("action_id"), py::arg("observation_id"),
             py::arg("step_offset"), py::arg("tree_id"), py::arg("total_return"),
             py::arg("num_trees"), py::arg("num_threads") = 1);
  module.def(
      "check_ids",
      [](const Forest& forest, std::int64_t num_actions, std::int64_t num_observations,
         std::int32_t num_threads) {
        const WithoutGil no_gil;
        w2stree::check_ids(forest, num_actions, num_observations, execution(no_gil, num_threads));
      },
      py::arg("forest"), py::arg("num_actions"), py::arg("num_observations"), num_threads);
  module.def(
      "trees_of_one_action_sequence",
      [](const Forest& forest) {
        return wrap(Column<std::int32_t>(w2stree::trees_of_one_action_sequence(forest)));
      },
      py::arg("forest"));
}
