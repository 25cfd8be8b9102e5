// The Arrow C data interface: plain structs by which libraries hand one another columns, without
// a common dependency (https://arrow.apache.org/docs/format/CDataInterface.html).
//
//   ArrowArrayStream ── get_schema ──> ArrowSchema   names and types, a tree
//                    ── get_next ────> ArrowArray    buffers, the same tree; one a batch
//
// Who holds a struct whose release is not null must call it, once. Moving one copies the struct
// and sets the source's release to null.
#pragma once

#include <cstdint>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

extern "C" {

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};

}  // extern "C"

#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

extern "C" {

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};

}  // extern "C"

#endif  // ARROW_C_STREAM_INTERFACE

namespace w2stree {

/// Holds one of the structs above and releases it once.
template <class Struct>
class ArrowOwner {
 public:
  ArrowOwner() = default;  // for a producer to fill

  /// Moves out of `source`, which counts as released from then on.
  explicit ArrowOwner(Struct& source) : held_(source) { source.release = nullptr; }

  ArrowOwner(const ArrowOwner&) = delete;
  ArrowOwner& operator=(const ArrowOwner&) = delete;
  ~ArrowOwner() {
    if (held_.release != nullptr) held_.release(&held_);
  }

  Struct* get() { return &held_; }
  Struct& operator*() { return held_; }
  Struct* operator->() { return &held_; }
  bool is_released() const { return held_.release == nullptr; }

 private:
  Struct held_{};
};

}  // namespace w2stree
