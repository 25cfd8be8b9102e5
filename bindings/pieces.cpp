// The table of pieces that the store of runs writes by.
#include "w2stree/text/pieces.hpp"

#include <cstddef>
#include <vector>

#include "bind.hpp"

namespace {

std::string_view text_of(const py::buffer_info& info) {
  const std::span<const std::byte> bytes = bytes_of(info);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
py::array_t<T> wrap_vector(std::vector<T> values) {
  return wrap(w2stree::Column<T>(std::move(values)));
}

void learn(w2stree::PieceTable& table, const py::buffer& data, const Array<std::int64_t>& offset) {
  const py::buffer_info info = data.request();
  const std::string_view text = text_of(info);
  const std::span<const std::int64_t> ends = span(offset, "offset");
  const WithoutGil no_gil;
  table.learn(text, ends);
}

py::tuple split(w2stree::PieceTable& table, const py::buffer& data,
                const Array<std::int64_t>& end) {
  const py::buffer_info info = data.request();
  const std::string_view text = text_of(info);
  const std::span<const std::int64_t> ends = span(end, "end");
  w2stree::CutRecords records;
  {
    const WithoutGil no_gil;
    records = table.split(text, ends);
  }
  return py::make_tuple(wrap_vector(std::move(records.id)), wrap_vector(std::move(records.offset)));
}

py::tuple pieces(const w2stree::PieceTable& table, std::int32_t first) {
  if (first < 0 || first > table.size()) {
    w2stree::refuse("first=", first, ": expected 0 to ", table.size());
  }
  std::vector<std::uint8_t> data;
  std::vector<std::int64_t> offset{0};
  {
    const WithoutGil no_gil;
    for (std::int32_t id = first; id < table.size(); ++id) {
      const std::string_view piece = table.piece(id);
      data.insert(data.end(), piece.begin(), piece.end());
      offset.push_back(static_cast<std::int64_t>(data.size()));
    }
  }
  return py::make_tuple(wrap_vector(std::move(data)), wrap_vector(std::move(offset)));
}

}  // namespace

void bind_pieces(py::module_& module) {
  py::class_<w2stree::PieceTable>(module, "PieceTable")
      .def(py::init<>())
      .def_property_readonly("size", &w2stree::PieceTable::size)
      .def("learn", &learn, py::arg("data"), py::arg("offset"))
      .def("split", &split, py::arg("data"), py::arg("end"))
      .def("pieces", &pieces, py::arg("first") = 0);
}
