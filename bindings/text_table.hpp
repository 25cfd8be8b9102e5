// A Python `TextColumn` as the core's TextTable, without a copy.
#pragma once

#include "bind.hpp"
#include "w2stree/text/text_table.hpp"

inline w2stree::TextTable text_table(const py::object& column, const char* name) {
  w2stree::TextTable table{borrow(py::cast<Array<std::uint8_t>>(column.attr("data")), name),
                           borrow(py::cast<Array<std::int64_t>>(column.attr("offset")), name)};
  if (const auto defect = find_defect(table)) {
    w2stree::refuse(name, ".", defect->column, "[", defect->index, "]: expected ",
                    defect->expected);
  }
  return table;
}
