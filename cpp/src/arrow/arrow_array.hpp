// Arrow arrays as untrusted input: what is checked before a buffer is read.
//
//   logical    0   1   2          what the reader asks for
//   physical   3   4   5          offset 3 later in every buffer
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

#include "w2stree/arrow/arrow.hpp"
#include "w2stree/base/errors.hpp"

namespace w2stree {

/// Names an element for a message: "actions[3][7]". Called on the way to a throw only.
using Namer = std::function<std::string(std::int64_t)>;

/// Element i of a buffer, wherever it lies: producers may misalign.
template <class T>
T load(const void* buffer, std::int64_t i) {
  T value;
  std::memcpy(&value, static_cast<const char*>(buffer) + i * static_cast<std::int64_t>(sizeof(T)),
              sizeof(T));
  return value;
}

/// The length of an array whose shape is sound: at least so many buffers, exactly so many children.
inline std::int64_t checked_length(const ArrowArray& array, std::int64_t min_buffers,
                                   std::int64_t num_children, std::string_view name) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max() * std::int64_t{1 << 20};
  if (array.length < 0 || array.length > kMax || array.offset < 0 || array.offset > kMax) {
    refuse(name, ": Arrow array of length ", array.length, " at offset ", array.offset);
  }
  if (array.n_buffers < min_buffers || array.buffers == nullptr) {
    refuse(name, ": Arrow array with ", array.n_buffers, " buffers; expected ", min_buffers);
  }
  if (array.n_children != num_children || (num_children > 0 && array.children == nullptr)) {
    refuse(name, ": Arrow array with ", array.n_children, " children; expected ", num_children);
  }
  for (std::int64_t i = 0; i < num_children; ++i) {
    if (array.children[i] == nullptr) refuse(name, ": Arrow array without its child ", i);
  }
  return array.length;
}

/// Buffer i of an array; may be null only where nothing will be read.
inline const void* buffer(const ArrowArray& array, std::int64_t i, std::string_view name) {
  if (array.buffers[i] == nullptr && array.length > 0) {
    refuse(name, ": Arrow array without its buffer ", i);
  }
  return array.buffers[i];
}

/// Which elements of an array are null.
class Nulls {
 public:
  Nulls(const ArrowArray& array, std::string_view name) : offset_(array.offset) {
    if (array.null_count == 0) return;
    bits_ = static_cast<const std::uint8_t*>(array.buffers[0]);
    if (bits_ == nullptr && array.null_count > 0 && array.length > 0) {
      refuse(name, ": Arrow array with ", array.null_count, " nulls but no validity buffer");
    }
  }

  bool none() const { return bits_ == nullptr; }

  bool operator[](std::int64_t i) const {
    if (none()) return false;
    return (bits_[(offset_ + i) >> 3] >> ((offset_ + i) & 7) & 1) == 0;
  }

  /// Throws for the first null in [begin, end).
  void refuse_in(std::int64_t begin, std::int64_t end, std::string_view expected,
                 const Namer& name) const {
    if (none()) return;
    for (std::int64_t i = begin; i < end; ++i) {
      if ((*this)[i]) refuse(name(i), " is null; expected ", expected);
    }
  }

 private:
  const std::uint8_t* bits_ = nullptr;
  std::int64_t offset_ = 0;
};

/// '"i" into a dictionary of "u"', for messages.
inline std::string quote_format(const ArrowSchema& schema) {
  const auto quote = [](const char* format) {
    return "\"" + std::string(format == nullptr ? "" : format) + "\"";
  };
  if (schema.dictionary == nullptr) return quote(schema.format);
  return quote(schema.format) + " into a dictionary of " + quote(schema.dictionary->format);
}

/// '"+l" of "i"', for messages.
inline std::string describe_format(const ArrowSchema& schema) {
  if (schema.n_children != 1) return quote_format(schema);
  return quote_format(schema) + " of " + quote_format(*schema.children[0]);
}

/// What a schema says of its children must be there.
inline void check_schema(const ArrowSchema& schema, std::string_view name) {
  if (schema.format == nullptr) refuse(name, ": Arrow schema without a format");
  if (schema.n_children < 0 || (schema.n_children > 0 && schema.children == nullptr)) {
    refuse(name, ": Arrow schema with ", schema.n_children, " children");
  }
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    if (schema.children[i] == nullptr) refuse(name, ": Arrow schema without its child ", i);
  }
}

}  // namespace w2stree
