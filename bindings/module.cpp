// w2stree._core: convert -> release the GIL -> one core call -> wrap. One noun, one file.
#include <pybind11/pybind11.h>

#include "bind.hpp"
#include "w2stree/base/errors.hpp"

PYBIND11_MODULE(_core, module) {
  py::register_exception<w2stree::InvalidInput>(module, "InvalidInput", PyExc_ValueError)
      .attr("__module__") = "w2stree";
  bind_digest(module);
  bind_arrow_export(module);
  bind_arrow_import(module);
  bind_forest(module);
  bind_growth(module);
  bind_forest_file(module);
  bind_pairs(module);
  bind_search(module);
  bind_texts(module);
  bind_trajectories(module);
}
