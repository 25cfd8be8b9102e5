// Records cut into pieces that return, each numbered once: what the store of runs keeps of them.
//
//   {"role": "user", "content": "You see a fridge. It is closed."}
//   └─────── framing ──────────┘└────────── text ─────────────┘└ framing
//
// A text is what stands between two quotes, if it is long enough to be worth a number; everything
// else, quotes and short texts with it, is framing. A long text is cut after line ends that the
// bytes before them choose, so that texts that differ in one place share what is before and after.
// Where to cut depends on the record alone: equal stretches of records become equal pieces. Of any
// bytes whatever, the pieces of a record one after another are the record.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "w2stree/text/interner.hpp"

namespace w2stree {

/// The pieces of a record, in order; none is empty. O(bytes).
void cut(std::string_view record, std::vector<std::string_view>& pieces);

/// The pieces of several records by number.
struct CutRecords {
  std::vector<std::int32_t> id;
  std::vector<std::int64_t> offset{0};  // [num_records + 1] into id
};

/// Distinct pieces, numbered from 0 in order of first appearance. Holds a copy of each: pieces
/// are compared byte by byte, whatever their hashes are. Memory: their bytes, and 24 each.
class PieceTable {
 public:
  std::int32_t size() const { return interner_.size(); }
  std::string_view piece(std::int32_t id) const { return interner_.text(id); }

  /// Gives the pieces data[offset[i], offset[i + 1]) the next numbers. Throws InvalidInput for one
  /// that has a number, for an empty one and for offsets that are no such ranges.
  void learn(std::string_view data, std::span<const std::int64_t> offset);

  /// Cuts the records data[end[i - 1], end[i]) and numbers their pieces. Throws InvalidInput for
  /// ends that do not rise to the end of the data.
  CutRecords split(std::string_view data, std::span<const std::int64_t> end);

 private:
  Interner interner_;
};

}  // namespace w2stree
