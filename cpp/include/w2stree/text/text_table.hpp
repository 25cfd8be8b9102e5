// Many texts in two columns, as Arrow's large_string lays them out.
//
//   data     g o n o r t h l o o k          UTF-8, one text after another
//   offset   0   2         7       11       text i is data[offset[i]] to data[offset[i + 1]]
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "w2stree/base/column.hpp"

namespace w2stree {

struct TextTable {
  Column<std::uint8_t> data;
  Column<std::int64_t> offset;  // [num_texts + 1] from 0 to data.size(), never decreasing
};

inline std::size_t num_texts(const TextTable& table) {
  return table.offset.size() - 1;
}

inline std::span<const std::byte> text(const TextTable& table, std::size_t i) {
  const auto begin = static_cast<std::size_t>(table.offset[i]);
  return std::as_bytes(std::span<const std::uint8_t>(table.data))
      .subspan(begin, static_cast<std::size_t>(table.offset[i + 1]) - begin);
}

/// Where a table breaks its rules: an index into `data` or `offset`.
struct TextDefect {
  std::string_view column;
  std::size_t index;
  std::string_view expected;
};

/// The first offset out of order or inside a character, or byte that is not UTF-8. Surrogates in
/// three bytes count as UTF-8: some logs hold halves of pairs, and Python's "surrogatepass"
/// writes and reads them. O(bytes + texts).
std::optional<TextDefect> find_defect(const TextTable& table);

}  // namespace w2stree
