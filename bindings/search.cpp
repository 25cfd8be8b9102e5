#include "w2stree/search/search.hpp"

#include <pybind11/stl.h>  // std::optional

#include <string>

#include "bind.hpp"
#include "w2stree/forest/node_columns.hpp"

namespace {

using w2stree::Column;
using w2stree::Forest;
using w2stree::SearchResult;

template <class Work>
auto without_gil(Work work) {
  const WithoutGil no_gil;
  return work();
}

template <class T>
using ChainColumn = Column<T> (*)(const Forest&, const SearchResult&);

// As the search keeps it, by tree or by path.
template <class T>
auto held(std::vector<T> SearchResult::* field) {
  return [field](const py::object& self) {
    return view<T>(self.cast<const SearchResult&>().*field, self);
  };
}

// The chain's value at all its nodes, written out on demand.
template <class T>
auto along_chains(ChainColumn<T> by_chain) {
  return [by_chain](const SearchResult& result, const Forest& forest) {
    return wrap(
        without_gil([&] { return w2stree::along_chains<T>(forest, by_chain(forest, result)); }));
  };
}

// The chain's value at its last node, 0 before it.
template <class T>
auto at_last_nodes(ChainColumn<T> by_chain) {
  return [by_chain](const SearchResult& result, const Forest& forest) {
    return wrap(without_gil(
        [&] { return w2stree::at_last_nodes<T>(forest, by_chain(forest, result), 0); }));
  };
}

// Chains as their last nodes.
auto last_nodes(std::vector<std::int32_t> SearchResult::* field) {
  return [field](const SearchResult& result, const Forest& forest) {
    w2stree::check_is_of(forest, result);
    std::vector<std::int32_t> nodes = result.*field;
    for (std::int32_t& id : nodes) id = id == w2stree::kNone ? id : w2stree::last_node(forest, id);
    return wrap<std::int32_t>(std::move(nodes));
  };
}

w2stree::Backup parse_backup(const std::string& name) {
  if (name == "mean") return w2stree::Backup::kMean;
  if (name == "max") return w2stree::Backup::kMax;
  w2stree::refuse("backup='", name, "'; expected 'mean' or 'max'");
}

SearchResult search(const Forest& forest, std::int64_t num_simulations, double exploration,
                    double return_scale, bool stop_arm, const std::string& backup,
                    std::int64_t min_visits, std::int64_t num_paths,
                    std::optional<std::int64_t> patience, const SearchResult* resume,
                    std::int32_t num_threads) {
  const w2stree::SearchOptions options{num_simulations,      exploration, return_scale, stop_arm,
                                       parse_backup(backup), min_visits,  num_paths,    patience};
  const WithoutGil no_gil;
  if (resume == nullptr) return w2stree::search(forest, options, execution(no_gil, num_threads));
  return w2stree::continue_search(forest, *resume, options, execution(no_gil, num_threads));
}

}  // namespace

void bind_search(py::module_& module) {
  py::class_<SearchResult>(module, "SearchResult")
      .def_property_readonly("num_simulations", held(&SearchResult::num_simulations))
      .def_property_readonly("best_trajectory", held(&SearchResult::best_trajectory))
      .def_property_readonly("path_tree", held(&SearchResult::path_tree))
      .def_property_readonly("path_trajectory", held(&SearchResult::path_trajectory))
      .def_property_readonly("path_value", held(&SearchResult::path_value))
      .def_property_readonly("path_visit_count", held(&SearchResult::path_visit_count))
      .def_readonly("num_exact_checks", &SearchResult::num_exact_checks)
      .def("best_end_node", last_nodes(&SearchResult::best_end_chain), py::arg("forest"))
      .def("path_end_node", last_nodes(&SearchResult::path_end_chain), py::arg("forest"))
      .def("node_visit_count", along_chains<std::int64_t>(w2stree::chain_visit_count),
           py::arg("forest"))
      .def("node_value_sum", along_chains<double>(w2stree::chain_value_sum), py::arg("forest"))
      .def("node_value_max", along_chains<double>(w2stree::chain_value_max), py::arg("forest"))
      .def("node_stop_visit_count", at_last_nodes<std::int64_t>(w2stree::chain_stop_visit_count),
           py::arg("forest"))
      .def("node_stop_value_sum", at_last_nodes<double>(w2stree::chain_stop_value_sum),
           py::arg("forest"));

  module.def("search", &search, py::arg("forest"), py::arg("num_simulations"),
             py::arg("exploration"), py::arg("return_scale"), py::arg("stop_arm"),
             py::arg("backup"), py::arg("min_visits"), py::arg("num_paths"),
             py::arg("patience").none(true), py::arg("resume").none(true), py::arg("num_threads"));
}
