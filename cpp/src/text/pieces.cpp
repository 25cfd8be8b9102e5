#include "w2stree/text/pieces.hpp"

#include <algorithm>
#include <cstring>

#include "w2stree/base/errors.hpp"

namespace w2stree {
namespace {

constexpr std::size_t kMinText = 16;    // a shorter one is framing
constexpr std::size_t kLongText = 256;  // a longer one is cut
constexpr std::size_t kMinLines = 32;   // of what is cut off
constexpr std::size_t kMaxPiece = 4096;

// Where the next quote is, or the end.
std::size_t find_quote(std::string_view record, std::size_t from) {
  const void* found = std::memchr(record.data() + from, '"', record.size() - from);
  if (found == nullptr) return record.size();
  return static_cast<std::size_t>(static_cast<const char*>(found) - record.data());
}

// Whether the bytes before a line end choose it: one in eight are.
bool is_chosen(const char* end) {
  std::uint64_t word = 0;
  std::memcpy(&word, end - sizeof word, sizeof word);
  return (word * 0x9E3779B97F4A7C15u) >> 61 == 0;
}

// How much of a long text is the next piece: up to a chosen line end, which JSON writes as \n, and
// JSON in JSON as \\n.
std::size_t first_lines(std::string_view text) {
  const std::size_t last = std::min(text.size(), kMaxPiece);
  for (std::size_t at = kMinLines; at + 1 < last; ++at) {
    const void* found = std::memchr(text.data() + at, '\\', last - at - 1);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    if (text[at + 1] == 'n' && is_chosen(text.data() + at)) return at + 2;
  }
  return last;
}

void cut_text(std::string_view text, std::vector<std::string_view>& pieces) {
  while (text.size() > kLongText) {
    const std::size_t size = first_lines(text);
    pieces.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  if (!text.empty()) pieces.push_back(text);
}

constexpr std::size_t kBatch = 4096;  // pieces that are numbered at once

}  // namespace

void cut(std::string_view record, std::vector<std::string_view>& pieces) {
  std::size_t begin = 0;  // of the framing that is not cut off yet
  std::size_t at = 0;     // behind the last quote
  while (at < record.size()) {
    const std::size_t quote = find_quote(record, at);
    if (quote - at >= kMinText || at - begin >= kMaxPiece) {
      if (begin < at) pieces.push_back(record.substr(begin, at - begin));
      cut_text(record.substr(at, quote - at), pieces);
      begin = quote;
    }
    at = std::min(quote + 1, record.size());
  }
  if (begin < record.size()) pieces.push_back(record.substr(begin));
}

void PieceTable::learn(std::string_view data, std::span<const std::int64_t> offset) {
  for (std::size_t i = 0; i + 1 < offset.size(); ++i) {
    const std::int64_t begin = offset[i];
    const std::int64_t end = offset[i + 1];
    if (begin < 0 || end <= begin || end > static_cast<std::int64_t>(data.size())) {
      refuse("offset[", i + 1, "]=", end, ": expected more than ", begin, ", and at most ",
             data.size(), " bytes");
    }
    const std::int32_t expected = size();
    const std::string_view piece =
        data.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    if (interner_.intern(piece) != expected) refuse("piece ", i, " has a number already");
  }
}

CutRecords PieceTable::split(std::string_view data, std::span<const std::int64_t> end) {
  CutRecords records;
  std::vector<std::string_view> pieces;
  const auto number = [&] {
    const std::size_t before = records.id.size();
    records.id.resize(before + pieces.size());
    interner_.intern(pieces, records.id.data() + before);
    pieces.clear();
  };
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < end.size(); ++i) {
    if (end[i] < begin || end[i] > static_cast<std::int64_t>(data.size())) {
      refuse("end[", i, "]=", end[i], ": expected at least ", begin, ", and at most ", data.size(),
             " bytes");
    }
    cut(data.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end[i] - begin)),
        pieces);
    records.offset.push_back(static_cast<std::int64_t>(records.id.size() + pieces.size()));
    if (pieces.size() >= kBatch) number();
    begin = end[i];
  }
  if (begin != static_cast<std::int64_t>(data.size())) {
    refuse("the records end at byte ", begin, " of ", data.size());
  }
  number();
  return records;
}

}  // namespace w2stree
