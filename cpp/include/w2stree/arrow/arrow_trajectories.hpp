// Trajectories out of Arrow columns of text.
//
//   task_id   total_return   actions              observations              one row a trajectory
//   "x"       1.0            ["go", "take"]       ["Ok.", "Taken."]
//   "y"       0.0            []                   []
//
//   text        string, large_string, string_view, or a dictionary of one
//   list        list, large_list, list_view, large_list_view, of text
//   return      float64, float32, any integer
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "w2stree/arrow/arrow.hpp"
#include "w2stree/base/execution.hpp"
#include "w2stree/text/text_trajectories.hpp"

namespace w2stree {

/// Reads batches of one schema, in order. After a throw it can only be destroyed.
///
/// Throws InvalidInput naming column, row and step for missing columns, other types, nulls, text
/// that is not UTF-8, lists of unequal length, and offsets, indices or counts that contradict one
/// another. The interface does not say how large buffers are: a producer that promises bytes it
/// does not have cannot be caught.
class ArrowTrajectoryReader {
 public:
  /// `schema` is borrowed and must outlive the reader.
  explicit ArrowTrajectoryReader(const ArrowSchema& schema);

  /// O(bytes of text), or O(steps) for dictionaries.
  void append(const ArrowArray& batch, const Execution& execution = {});

  TextTrajectories finish() && { return std::move(read_); }

 private:
  const ArrowSchema& schema_;
  std::array<std::int64_t, 4> place_{};  // of our columns among the schema's children
  TextTrajectories read_;
};

/// Reads a stream to its end. Also throws InvalidInput when the producer reports an error.
TextTrajectories read_trajectories(ArrowArrayStream& stream, const Execution& execution = {});

}  // namespace w2stree
