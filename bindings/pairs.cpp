#include "w2stree/pairs.hpp"

#include "bind.hpp"
#include "w2stree/node_columns.hpp"

namespace {

using w2stree::Pairs;

template <class T>
auto column(std::vector<T> Pairs::* field) {
  return
      [field](const py::object& self) { return view<T>(self.cast<const Pairs&>().*field, self); };
}

py::array_t<std::int64_t> count_pairs(const w2stree::Forest& forest, double min_gap) {
  std::vector<std::int64_t> count;
  {
    const py::gil_scoped_release release;
    count = w2stree::count_pairs(forest, min_gap);
  }
  return wrap(w2stree::at_last_nodes<std::int64_t>(forest, count, 0));
}

}  // namespace

void bind_pairs(py::module_& module) {
  py::class_<Pairs>(module, "Pairs")
      .def_property_readonly("divergence", column(&Pairs::divergence))
      .def_property_readonly("chosen", column(&Pairs::chosen))
      .def_property_readonly("rejected", column(&Pairs::rejected))
      .def_property_readonly("gap", column(&Pairs::gap));

  module.def("count_pairs", &count_pairs, py::arg("forest"), py::arg("min_gap"));
  module.def("enumerate_pairs", &w2stree::enumerate_pairs, py::arg("forest"), py::arg("min_gap"),
             py::call_guard<py::gil_scoped_release>());
}
