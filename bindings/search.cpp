#include "w2stree/search.hpp"

#include "bind.hpp"
#include "w2stree/node_columns.hpp"

namespace {

using w2stree::Forest;
using w2stree::SearchResult;

// By chain, as the search keeps it.
template <class T>
auto column(std::vector<T> SearchResult::* field) {
  return [field](const py::object& self) {
    return view<T>(self.cast<const SearchResult&>().*field, self);
  };
}

// By node, written out on demand.
template <class T>
auto along_chains(std::vector<T> SearchResult::* field) {
  return [field](const SearchResult& result, const Forest& forest) {
    return wrap(w2stree::along_chains<T>(forest, result.*field));
  };
}

template <class T>
auto at_last_nodes(std::vector<T> SearchResult::* field) {
  return [field](const SearchResult& result, const Forest& forest) {
    return wrap(w2stree::at_last_nodes<T>(forest, result.*field, 0));
  };
}

py::array_t<std::int32_t> best_end_node(const SearchResult& result, const Forest& forest) {
  std::vector<std::int32_t> end = result.best_end_chain;
  for (std::int32_t& id : end) id = id == w2stree::kNone ? id : w2stree::last_node(forest, id);
  return wrap<std::int32_t>(std::move(end));
}

SearchResult search(const Forest& forest, std::int64_t num_simulations, double exploration,
                    bool stop_arm, std::int32_t num_threads) {
  const py::gil_scoped_release release;
  return w2stree::search(forest, {num_simulations, exploration, stop_arm}, execution(num_threads));
}

}  // namespace

void bind_search(py::module_& module) {
  py::class_<SearchResult>(module, "SearchResult")
      .def("best_end_node", &best_end_node, py::arg("forest"))
      .def_property_readonly("best_trajectory", column(&SearchResult::best_trajectory))
      .def("node_visit_count", along_chains(&SearchResult::visit_count), py::arg("forest"))
      .def("node_value_sum", along_chains(&SearchResult::value_sum), py::arg("forest"))
      .def("node_stop_visit_count", at_last_nodes(&SearchResult::stop_visit_count),
           py::arg("forest"))
      .def("node_stop_value_sum", at_last_nodes(&SearchResult::stop_value_sum), py::arg("forest"));

  module.def("search", &search, py::arg("forest"), py::arg("num_simulations"),
             py::arg("exploration"), py::arg("stop_arm"), py::arg("num_threads"));
}
