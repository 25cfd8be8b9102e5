// A forest as one file: its columns, one after another, so that opening is reading and checking.
//
//   0     magic           89 'W' '2' 'S' 'T' 0D 0A 1A      every number is little-endian
//   8     version         u32 = 2
//   12    num_sections    u32 = 27
//   16    file_size       u64
//   24    num_errors      i64        trajectories that had status "error" and were left out
//   32    section table   27 entries of 48 bytes:
//           name          char[24]   padded with zeros
//           offset        u64        a multiple of 64
//           size          u64        in bytes
//           checksum      u64        XXH64, seed 0, of the section's bytes
//   1328  checksum        u64        XXH64, seed 0, of bytes 0 to 1328
//   1344  sections, each at the next multiple of 64, zeros between; the file ends with the last
//
//   i32   action_id  observation_id                                          by node
//   i32   first_node  parent  subtree_end  depth  num_actions                by chain
//         num_trajectories  num_terminal  first_trajectory
//   f64   return_sum
//   i32   root_chain                                                         by tree
//   i32   end_chain  trajectory_order                                        by trajectory
//   f64   total_return
//   u8    task_ids.data      i64   task_ids.offset                           by text
//   u8    actions.data       i64   actions.offset
//   u8    observations.data  i64   observations.offset
//   u8    rule.data          i64   rule.offset                              by function, if known
//   f64   min_similarity                                                    one, or none
//   i32   merges.made  merges.seen      i64   merges.count                  by merge
//
// `rule` says by which rule observations were merged: no text where that is not known, or three,
// the names of normalize_observation, embed and guard, "" for none. Names are data: nothing is
// run for a name that stands in a file. `merges` are pairs of observations that counted as one
// since their embeddings are similar, in ascending order, with the steps that happened to.
//
// Version 1 has the first 21 sections (its checksum is at 1040) and does not know its rule.
//
// Nothing in it is free: equal forests give equal bytes, and of all files that differ from one by
// a bit, none is read. Files are read where they lie; the host must be little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "w2stree/base/errors.hpp"
#include "w2stree/base/execution.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/text/text_table.hpp"

namespace w2stree {

/// Not a forest file, or a torn, altered or hostile one. The message begins with the byte where
/// that shows: "byte 1472, parent[12]=40: expected …".
class ForestFileError : public InvalidInput {
 public:
  using InvalidInput::InvalidInput;
};

/// Observations that counted as one, as columns: ids of the one a node keeps and of the one seen
/// later, and the number of steps.
struct MergeColumns {
  Column<std::int32_t> made, seen;
  Column<std::int64_t> count;
};

/// What a file holds. Tables have one text for each tree, action id and observation id.
struct ForestFile {
  Forest forest;
  TextTable task_ids, actions, observations;
  std::int64_t num_errors = 0;
  TextTable rule{{}, std::vector<std::int64_t>{0}};
  Column<double> min_similarity = {};
  MergeColumns merges = {};
};

inline constexpr std::size_t kNumSections = 27;
inline constexpr std::size_t kTableOffset = 32;
inline constexpr std::size_t kEntrySize = 48;
inline constexpr std::size_t kChecksumOffset = kTableOffset + kNumSections * kEntrySize;
inline constexpr std::size_t kAlignment = 64;

/// The bytes of a file, in order: the header, then each section, zeros after both. Sections are
/// borrowed from the columns, not copied.
class ForestFileBytes {
 public:
  /// Throws ForestFileError where parse_forest_file would refuse what was written.
  explicit ForestFileBytes(ForestFile file, const Execution& execution = {});

  std::span<const std::span<const std::byte>> pieces() const { return pieces_; }

 private:
  ForestFile file_;  // keeps the columns alive
  std::vector<std::byte> header_;
  std::vector<std::span<const std::byte>> pieces_;
};

/// The forest in `bytes`, whose address is a multiple of 8: its columns borrow them, and keep
/// `owner`. Everything is verified, checksums and then every rule of forest.hpp and
/// text_table.hpp; throws ForestFileError at the first thing wrong. O(bytes).
ForestFile parse_forest_file(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                             const Execution& execution = {});

/// Brings what a file has from byte `begin` on into `to`; returns how many bytes that were, fewer
/// than there is room for where the file ends. Called on any thread, on several at once.
using ReadAt = std::function<std::size_t(std::size_t begin, std::span<std::byte> to)>;

/// The same of a file of as many bytes as there is `memory`, which it is read into. Each piece is
/// hashed while it is in the cache. No byte is read again after it was looked at: what is written
/// to the file meanwhile breaks a checksum, or comes too late.
ForestFile read_forest_file(const ReadAt& read, std::span<std::byte> memory,
                            std::shared_ptr<const void> owner, const Execution& execution = {});

}  // namespace w2stree
