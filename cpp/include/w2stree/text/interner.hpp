// Texts and their ids, in order of first appearance.
//
//   texts    "go north" "look" "go north" "go"
//   id        0          1      0          2
//
//   data     g o   n o r t h l o o k g o        one copy of each text
//   offset   0               8       12  14     text i is data[offset[i], offset[i + 1])
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "w2stree/base/column.hpp"
#include "w2stree/base/ids.hpp"
#include "w2stree/text/id_table.hpp"

namespace w2stree {

/// Many texts in two arrays, as Arrow's large_string lays them out.
struct Texts {
  Column<std::uint8_t> data;
  Column<std::int64_t> offset;  // [num_texts + 1]
};

class Interner {
 public:
  /// Number of distinct texts.
  std::int32_t size() const { return table_.size(); }

  std::string_view text(std::int32_t id) const {
    const auto begin = static_cast<std::size_t>(offset_[at(id)]);
    return {reinterpret_cast<const char*>(data_.data()) + begin,
            static_cast<std::size_t>(offset_[at(id) + 1]) - begin};
  }

  std::int32_t intern(std::string_view text);

  /// Writes the id of texts[i] to id[i]. Faster than one after another: the memory that each
  /// text needs is fetched while others are looked up.
  void intern(std::span<const std::string_view> texts, std::int32_t* id);

  Texts finish() && { return {std::move(data_), std::move(offset_)}; }

 private:
  std::int32_t find_or_add(std::string_view text, std::uint64_t hash);

  IdTable table_;
  std::vector<std::uint8_t> data_;
  std::vector<std::int64_t> offset_{0};
};

/// Of texts and of nothing else. Another one in every process (a secret key, `keyed_hash.hpp`), so
/// never store it, and let no result depend on it.
std::uint64_t hash_text(std::string_view text);

/// Whether `text` is UTF-8 as Unicode defines it: no overlong forms, no surrogates.
bool is_utf8(std::string_view text);

}  // namespace w2stree
