// Lines of JSON as columns.
//
//   reader = _core.JsonReader()
//   reader.begin_file(); reader.append(b'{"task_id": …}\n…')      False: ask Python
//   reader.finish() ──> records, prompt ids, ids, texts
#include <string_view>

#include "bind.hpp"
#include "sequences.hpp"
#include "text_trajectories.hpp"
#include "w2stree/json/json_trajectories.hpp"

namespace {

using Reader = w2stree::JsonTrajectoryReader;

bool append(Reader& reader, const py::bytes& block) {
  const std::string_view text = block;
  const WithoutGil no_gil;
  return reader.append(text);
}

py::tuple finish(Reader& reader) {
  w2stree::JsonTrajectories read = std::move(reader).finish();
  const py::tuple records =
      py::make_tuple(to_array(std::move(read.block)), to_array(std::move(read.begin)),
                     to_array(std::move(read.end)), to_array(std::move(read.line)),
                     to_array(std::move(read.is_error)), to_array(std::move(read.key)),
                     to_array(std::move(read.gist)));
  const py::array_t<std::int32_t> prompt_id = to_array(std::move(read.prompt_id));
  const py::tuple columns = to_tuple(std::move(read.played));
  return py::make_tuple(records, prompt_id, columns[0], columns[1]);
}

}  // namespace

void bind_json_import(py::module_& module) {
  py::class_<Reader>(module, "JsonReader")
      .def(py::init<>())
      .def("begin_file", &Reader::begin_file)
      .def("append", &append, py::arg("block"))
      .def("finish", &finish);
}
