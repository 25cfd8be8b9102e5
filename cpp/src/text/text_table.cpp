#include "w2stree/text/text_table.hpp"

#include <algorithm>
#include <cstring>

namespace w2stree {
namespace {

// The second byte narrows what a lead byte allows: no character in more bytes than it needs,
// none above U+10FFFF.
struct Lead {
  std::uint8_t first, last;  // of the lead byte
  std::uint8_t num_more;
  std::uint8_t low, high;  // of the second byte
};
constexpr Lead kLeads[] = {{0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF},
                           {0xE1, 0xEF, 2, 0x80, 0xBF}, {0xF0, 0xF0, 3, 0x90, 0xBF},
                           {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F}};

bool is_continuation(std::uint8_t byte) {
  return (byte & 0xC0) == 0x80;
}

// Bytes of the character that begins `data`, which is not ASCII; 0 where there is none.
std::size_t character_size(std::span<const std::uint8_t> data) {
  const auto lead = std::ranges::find_if(
      kLeads, [&](const Lead& l) { return l.first <= data[0] && data[0] <= l.last; });
  if (lead == std::end(kLeads) || data.size() <= lead->num_more) return 0;
  if (data[1] < lead->low || data[1] > lead->high) return 0;
  const auto more = data.subspan(1, lead->num_more);
  return std::ranges::all_of(more, is_continuation) ? 1u + lead->num_more : 0;
}

// Bytes in whole blocks of 64 that are ASCII throughout, from `data` on.
std::size_t ascii_blocks(std::span<const std::uint8_t> data) {
  std::size_t i = 0;
  for (; i + 64 <= data.size(); i += 64) {
    std::uint64_t words[8];
    std::memcpy(words, data.data() + i, sizeof words);
    std::uint64_t any = 0;
    for (const std::uint64_t word : words) any |= word;
    if ((any & 0x8080808080808080u) != 0) break;
  }
  return i;
}

// Where the first byte that is not UTF-8 stands; data.size() where all is.
std::size_t first_not_utf8(std::span<const std::uint8_t> data) {
  std::size_t i = ascii_blocks(data);
  while (i < data.size()) {
    if (data[i] < 0x80) {
      ++i;
      if (i % 64 == 0) i += ascii_blocks(data.subspan(i));
      continue;
    }
    const std::size_t size = character_size(data.subspan(i));
    if (size == 0) return i;
    i += size;
  }
  return i;
}

}  // namespace

std::optional<TextDefect> find_defect(const TextTable& table) {
  const auto& [data, offset] = table;
  if (offset.empty() || offset[0] != 0) return TextDefect{"offset", 0, "0"};
  if (static_cast<std::size_t>(offset.back()) != data.size()) {
    return TextDefect{"offset", offset.size() - 1, "the size of data"};
  }
  for (std::size_t i = 1; i < offset.size(); ++i) {
    if (offset[i] < offset[i - 1]) return TextDefect{"offset", i, "at least the offset before"};
  }
  const std::size_t bad = first_not_utf8(data);
  if (bad != data.size()) return TextDefect{"data", bad, "UTF-8"};
  for (std::size_t i = 1; i + 1 < offset.size(); ++i) {
    const auto begin = static_cast<std::size_t>(offset[i]);
    if (begin < data.size() && is_continuation(data[begin])) {
      return TextDefect{"offset", i, "the beginning of a character"};
    }
  }
  return std::nullopt;
}

}  // namespace w2stree
