// Trajectories out of lines of JSON, as docs/columns.md has them.
//
//   {"task_id":"x","prompt":[],"steps":[{"action":"go","observation":"Ok."}],"total_return":1.0, …}
//   {"task_id":"y", …}                                                       one line a record
//
// Only lines of which everything is certain are read here: JSON to the letter, no key twice in an
// object, no unknown field, every field of its type. Of all others the caller asks Python, which
// knows what may be forgiven and what is to be told.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "w2stree/text/text_trajectories.hpp"

namespace w2stree {

/// Columns with an element a record, and the columns of those that are no errors.
struct JsonTrajectories {
  TextTrajectories played;              // records whose status is not "error"
  std::vector<std::int32_t> prompt_id;  // of those: equal where prompts are

  std::vector<std::int32_t> block;  // in which append() the record came,
  std::vector<std::int64_t> begin;  // and its bytes there: [begin, end)
  std::vector<std::int64_t> end;
  std::vector<std::int64_t> line;  // of its file, from 1
  std::vector<std::uint8_t> is_error;
  // Equal where task, seed, sample, attempt, player and sampling are; kNone without a seed or a
  // sample.
  std::vector<std::int32_t> key;
  // Equal where task, return, status and every step's action, observation and response are. It
  // holds for one process: hashes have a secret key.
  std::vector<std::uint64_t> gist;
};

class JsonTrajectoryReader {
 public:
  JsonTrajectoryReader();
  ~JsonTrajectoryReader();
  JsonTrajectoryReader(const JsonTrajectoryReader&) = delete;
  JsonTrajectoryReader& operator=(const JsonTrajectoryReader&) = delete;

  /// The next block is the first one of a file: lines count from 1, a byte order mark may stand
  /// there.
  void begin_file();

  /// Whole lines, the last one of a file with or without its end. False where one of them is not
  /// certain; the reader can only be destroyed then. O(bytes), and O(n log n) for the keys of an
  /// object in `info`.
  bool append(std::string_view block);

  JsonTrajectories finish() &&;

 private:
  class Lines;
  std::unique_ptr<Lines> lines_;
};

}  // namespace w2stree
