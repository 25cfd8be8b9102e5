// w2stree._core: convert -> release the GIL -> one core call -> wrap.
//
//   NumPy array ──span──> core ──vector──> Forest (owned by Python)
//                                            ^ base of every read-only array handed out
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "w2stree/errors.hpp"
#include "w2stree/forest.hpp"
#include "w2stree/pairs.hpp"
#include "w2stree/search.hpp"

namespace py = pybind11;

namespace {

// Without forcecast NumPy converts only where no value can change (TypeError otherwise).
template <class T>
using Column = py::array_t<T, py::array::c_style>;

template <class T>
std::span<const T> span(const Column<T>& column, const char* name) {
  if (column.ndim() != 1) w2stree::refuse(name, " has ", column.ndim(), " dimensions; expected 1");
  return {column.data(), static_cast<std::size_t>(column.size())};
}

// A read-only array over `values`, which `owner` keeps alive.
template <class T>
py::array_t<T> view(const std::vector<T>& values, const py::handle& owner) {
  py::array_t<T> array(static_cast<py::ssize_t>(values.size()), values.data(), owner);
  array.attr("setflags")(py::arg("write") = false);
  return array;
}

// Property getters: one column of a result.
template <class Owner, class T>
auto column(std::vector<T> Owner::* field) {
  return [field](const py::object& self) { return view(self.cast<const Owner&>().*field, self); };
}

w2stree::Forest build_forest(const Column<std::int32_t>& action_id,
                             const Column<std::int32_t>& observation_id,
                             const Column<std::int64_t>& step_offset,
                             const Column<std::int32_t>& tree_id,
                             const Column<double>& total_return, std::int32_t num_trees) {
  const w2stree::TrajectoryColumns columns{
      span(action_id, "action_id"),       span(observation_id, "observation_id"),
      span(step_offset, "step_offset"),   span(tree_id, "tree_id"),
      span(total_return, "total_return"), num_trees};
  const py::gil_scoped_release release;
  return w2stree::build_forest(columns);
}

py::array_t<std::int64_t> count_pairs(const w2stree::Forest& forest, double min_gap) {
  std::vector<std::int64_t> count;
  {
    const py::gil_scoped_release release;
    count = w2stree::count_pairs(forest, min_gap);
  }
  return py::array_t<std::int64_t>(static_cast<py::ssize_t>(count.size()), count.data());  // copies
}

w2stree::SearchResult search(const w2stree::Forest& forest, std::int64_t num_simulations,
                             double exploration, bool stop_arm, std::int32_t num_threads) {
  const py::gil_scoped_release release;
  return w2stree::search(forest, {num_simulations, exploration, stop_arm, num_threads});
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  using w2stree::Forest;
  using w2stree::Pairs;
  using w2stree::SearchResult;

  py::register_exception<w2stree::InvalidInput>(module, "InvalidInput", PyExc_ValueError)
      .attr("__module__") = "w2stree";

  py::class_<Forest>(module, "Forest")
      .def_property_readonly("parent", column(&Forest::parent))
      .def_property_readonly("subtree_end", column(&Forest::subtree_end))
      .def_property_readonly("action_id", column(&Forest::action_id))
      .def_property_readonly("observation_id", column(&Forest::observation_id))
      .def_property_readonly("depth", column(&Forest::depth))
      .def_property_readonly("num_children", column(&Forest::num_children))
      .def_property_readonly("num_actions", column(&Forest::num_actions))
      .def_property_readonly("num_trajectories", column(&Forest::num_trajectories))
      .def_property_readonly("num_terminal", column(&Forest::num_terminal))
      .def_property_readonly("first_trajectory", column(&Forest::first_trajectory))
      .def_property_readonly("return_sum", column(&Forest::return_sum))
      .def_property_readonly("root", column(&Forest::root))
      .def_property_readonly("end_node", column(&Forest::end_node))
      .def_property_readonly("trajectory_order", column(&Forest::trajectory_order))
      .def_property_readonly("total_return", column(&Forest::total_return));

  py::class_<Pairs>(module, "Pairs")
      .def_property_readonly("divergence", column(&Pairs::divergence))
      .def_property_readonly("chosen", column(&Pairs::chosen))
      .def_property_readonly("rejected", column(&Pairs::rejected))
      .def_property_readonly("gap", column(&Pairs::gap));

  py::class_<SearchResult>(module, "SearchResult")
      .def_property_readonly("visit_count", column(&SearchResult::visit_count))
      .def_property_readonly("value_sum", column(&SearchResult::value_sum))
      .def_property_readonly("stop_visit_count", column(&SearchResult::stop_visit_count))
      .def_property_readonly("stop_value_sum", column(&SearchResult::stop_value_sum))
      .def_property_readonly("best_end_node", column(&SearchResult::best_end_node))
      .def_property_readonly("best_trajectory", column(&SearchResult::best_trajectory));

  module.def("build_forest", &build_forest, py::arg("action_id"), py::arg("observation_id"),
             py::arg("step_offset"), py::arg("tree_id"), py::arg("total_return"),
             py::arg("num_trees"));
  module.def("count_pairs", &count_pairs, py::arg("forest"), py::arg("min_gap"));
  module.def("enumerate_pairs", &w2stree::enumerate_pairs, py::arg("forest"), py::arg("min_gap"),
             py::call_guard<py::gil_scoped_release>());
  module.def("search", &search, py::arg("forest"), py::arg("num_simulations"),
             py::arg("exploration"), py::arg("stop_arm"), py::arg("num_threads"));
}
