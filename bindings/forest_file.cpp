#include "w2stree/file/forest_file.hpp"

#include <cerrno>
#include <system_error>
#include <tuple>

#include "bind.hpp"
#include "read_at.hpp"
#include "text_table.hpp"

namespace {

using w2stree::ForestFile;
using w2stree::ForestFileBytes;
using MergeArrays = std::tuple<Array<std::int32_t>, Array<std::int32_t>, Array<std::int64_t>>;

std::unique_ptr<ForestFileBytes> lay_out(const w2stree::Forest& forest, const py::object& task_ids,
                                         const py::object& actions, const py::object& observations,
                                         std::int64_t num_errors, const py::object& rule,
                                         const Array<double>& min_similarity,
                                         const MergeArrays& merges, std::int32_t num_threads) {
  const auto& [made, seen, count] = merges;
  ForestFile file{forest,
                  text_table(task_ids, "task_ids"),
                  text_table(actions, "actions"),
                  text_table(observations, "observations"),
                  num_errors,
                  text_table(rule, "rule"),
                  borrow(min_similarity, "min_similarity"),
                  {borrow(made, "made"), borrow(seen, "seen"), borrow(count, "count")}};
  const WithoutGil no_gil;
  return std::make_unique<ForestFileBytes>(std::move(file), execution(no_gil, num_threads));
}

// Arrays over the pieces, each of which keeps all of them alive.
py::list pieces(const py::object& self) {
  py::list arrays;
  for (const auto piece : self.cast<const ForestFileBytes&>().pieces()) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(piece.data());
    arrays.append(view(std::span(data, piece.size()), self));
  }
  return arrays;
}

ForestFile parse(const py::buffer& buffer, std::int32_t num_threads) {
  const auto info = keep(buffer.request());  // the memory stays while columns need it
  const std::span<const std::byte> bytes = bytes_of(*info);
  const WithoutGil no_gil;
  return w2stree::parse_forest_file(bytes, info, execution(no_gil, num_threads));
}

// `memory` is as long as the file and stays while columns need it; nobody else may look at it.
ForestFile read_file(int file, Array<std::uint8_t> memory, std::int32_t num_threads) {
  const std::span bytes(memory.mutable_data(), static_cast<std::size_t>(memory.size()));
  const auto owner = keep(std::move(memory));
  const auto from_file = [file](std::size_t begin, std::span<std::byte> to) {
    return read_at(file, begin, to);
  };
  try {
    const WithoutGil no_gil;
    return w2stree::read_forest_file(from_file, std::as_writable_bytes(bytes), owner,
                                     execution(no_gil, num_threads));
  } catch (const std::system_error& error) {
    errno = error.code().value();
    PyErr_SetFromErrno(PyExc_OSError);
    throw py::error_already_set();
  }
}

template <w2stree::TextTable ForestFile::* table>
py::tuple texts(const ForestFile& file) {
  return py::make_tuple(wrap((file.*table).data), wrap((file.*table).offset));
}

}  // namespace

void bind_forest_file(py::module_& module) {
  bind_error<w2stree::ForestFileError>(module, "ForestFileError", module.attr("InvalidInput"),
                                       "w2stree.errors");
  py::class_<ForestFileBytes>(module, "ForestFileBytes")
      .def(py::init(&lay_out), py::arg("forest"), py::arg("task_ids"), py::arg("actions"),
           py::arg("observations"), py::arg("num_errors"), py::arg("rule"),
           py::arg("min_similarity"), py::arg("merges"), py::arg("num_threads") = 1)
      .def("pieces", &pieces);
  py::class_<ForestFile>(module, "ForestFile")
      .def_readonly("num_errors", &ForestFile::num_errors)
      .def_property_readonly("forest", [](const ForestFile& file) { return file.forest; })
      .def_property_readonly("task_ids", &texts<&ForestFile::task_ids>)
      .def_property_readonly("actions", &texts<&ForestFile::actions>)
      .def_property_readonly("observations", &texts<&ForestFile::observations>)
      .def_property_readonly("rule", &texts<&ForestFile::rule>)
      .def_property_readonly("min_similarity",
                             [](const ForestFile& file) { return wrap(file.min_similarity); })
      .def_property_readonly("merges", [](const ForestFile& file) {
        const auto& [made, seen, count] = file.merges;
        return py::make_tuple(wrap(made), wrap(seen), wrap(count));
      });
  module.def("parse_forest_file", &parse, py::arg("buffer"), py::arg("num_threads") = 1);
  module.def("read_forest_file", &read_file, py::arg("file"), py::arg("memory"),
             py::arg("num_threads") = 1);
}
