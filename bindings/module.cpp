// w2stree._core: convert -> release the GIL -> one core call -> wrap. One noun, one file.
#include <pybind11/pybind11.h>

#include "bind.hpp"
#include "w2stree/base/errors.hpp"

namespace {

// The base of every exception of the package: the core's own are made before Python's.
void bind_errors(py::module_& module) {
  const auto error = py::reinterpret_steal<py::object>(
      PyErr_NewException("w2stree.Error", PyExc_Exception, nullptr));
  if (!error) throw py::error_already_set();
  error.attr("exit_status") = 2;
  module.attr("Error") = error;
  const py::tuple bases = py::make_tuple(error, py::handle(PyExc_ValueError));
  bind_error<w2stree::InvalidInput>(module, "InvalidInput", bases, "w2stree");
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  bind_errors(module);
  bind_digest(module);
  bind_arrow_export(module);
  bind_arrow_import(module);
  bind_forest(module);
  bind_json_import(module);
  bind_growth(module);
  bind_forest_file(module);
  bind_pairs(module);
  bind_pieces(module);
  bind_search(module);
  bind_states(module);
  bind_texts(module);
  bind_trajectories(module);
}
