// Arrow columns of any library, through the PyCapsule protocol
// (https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html).
//
//   table.__arrow_c_stream__() ──> capsule "arrow_array_stream" ──> core
//   batch.__arrow_c_array__()  ──> capsules "arrow_schema", "arrow_array" ──> core
#include "bind.hpp"
#include "text_trajectories.hpp"
#include "w2stree/arrow/arrow_trajectories.hpp"

namespace {

using w2stree::ArrowOwner;

// Moves a struct out of its capsule, whose destructor then finds it released.
template <class Struct>
Struct& in_capsule(py::handle capsule, const char* name) {
  auto* held = static_cast<Struct*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (held == nullptr) throw py::error_already_set();
  if (held->release == nullptr) w2stree::refuse("the ", name, " capsule was released already");
  return *held;
}

// Producers take the GIL themselves where they need it, so it is free while they are called.
py::tuple read_arrow_stream(py::handle capsule, std::int32_t num_threads) {
  ArrowOwner stream(in_capsule<ArrowArrayStream>(capsule, "arrow_array_stream"));
  w2stree::TextTrajectories read;
  {
    const WithoutGil no_gil;
    read = w2stree::read_trajectories(*stream, execution(no_gil, num_threads));
  }
  return to_tuple(std::move(read));
}

py::tuple read_arrow_array(py::handle schema_capsule, py::handle array_capsule,
                           std::int32_t num_threads) {
  ArrowOwner schema(in_capsule<ArrowSchema>(schema_capsule, "arrow_schema"));
  ArrowOwner array(in_capsule<ArrowArray>(array_capsule, "arrow_array"));
  w2stree::TextTrajectories read;
  {
    const WithoutGil no_gil;
    w2stree::ArrowTrajectoryReader reader(*schema);
    reader.append(*array, execution(no_gil, num_threads));
    read = std::move(reader).finish();
  }
  return to_tuple(std::move(read));
}

}  // namespace

void bind_arrow_import(py::module_& module) {
  module.def("read_arrow_stream", &read_arrow_stream, py::arg("stream"),
             py::arg("num_threads") = 1);
  module.def("read_arrow_array", &read_arrow_array, py::arg("schema"), py::arg("array"),
             py::arg("num_threads") = 1);
}
