// A small forest's file, and files like it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "support/episodes.hpp"
#include "w2stree/base/xxhash.hpp"
#include "w2stree/file/forest_file.hpp"

namespace w2stree::test {

using Bytes = std::vector<std::byte>;

inline TextTable table(std::initializer_list<std::string_view> texts) {
  std::vector<std::uint8_t> data;
  std::vector<std::int64_t> offset = {0};
  for (const std::string_view text : texts) {
    data.insert(data.end(), text.begin(), text.end());
    offset.push_back(static_cast<std::int64_t>(data.size()));
  }
  return {std::move(data), std::move(offset)};
}

inline ForestFile file() {
  const Episodes episodes = Episodes()
                                .add(0, "ab", 1.0)
                                .add(1, "a", 2.0)
                                .add(0, "aC", 0.25)
                                .add(0, "d", 0.5)
                                .add(0, "a", 4.0);
  return {build_forest(episodes.columns()), table({"x", "y"}), table({"a", "b", "c", "d"}),
          table({"", "no"}), 3};
}

// Names, a number and merges that go together.
inline ForestFile similar_file() {
  ForestFile content = file();
  content.rule = table({"", "lab:letters", "state_words"});
  content.min_similarity = std::vector<double>{0.9};
  content.merges = {std::vector<std::int32_t>{0, 1}, std::vector<std::int32_t>{1, 0},
                    std::vector<std::int64_t>{2, 1}};
  return content;
}

// As version 1 was laid out: fewer sections, and they begin earlier.
inline Bytes without_rule(const Bytes& bytes) {
  constexpr std::size_t kOldSections = 21, kOldChecksum = kTableOffset + kOldSections * kEntrySize;
  Bytes old(bytes.begin(), bytes.begin() + kOldChecksum + 8);
  const auto put = [&](std::size_t place, std::uint64_t value, std::size_t size = 8) {
    std::memcpy(old.data() + place, &value, size);
  };
  const auto aligned = [](std::size_t place) { return (place + 63) / 64 * 64; };
  for (std::size_t i = 0; i < kOldSections; ++i) {
    const std::size_t entry = kTableOffset + i * kEntrySize;
    std::uint64_t offset, size;
    std::memcpy(&offset, bytes.data() + entry + 24, sizeof offset);
    std::memcpy(&size, bytes.data() + entry + 32, sizeof size);
    old.resize(aligned(old.size()));
    put(entry + 24, old.size());
    const auto section = bytes.begin() + static_cast<std::ptrdiff_t>(offset);
    old.insert(old.end(), section, section + static_cast<std::ptrdiff_t>(size));
  }
  put(8, 1, 4);
  put(12, kOldSections, 4);
  put(16, old.size());
  put(kOldChecksum, xxh64(std::span(old).first(kOldChecksum)));
  return old;
}

inline Bytes encode(const ForestFile& content, std::int32_t num_threads = 1) {
  Bytes bytes;
  const ForestFileBytes pieces(content, {num_threads, {}});
  for (const auto piece : pieces.pieces()) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

}  // namespace w2stree::test
