// Arrow arrays of lists: which elements of the child each row holds.
//
//   list         offset  0  2  2  5                  row i is [offset[i], offset[i + 1])
//   list_view    offset  3  0  1     size  2  0  2   row i is size[i] elements from offset[i]
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "arrow/arrow_array.hpp"

namespace w2stree {

/// Elements [begin, end) of the child.
struct ListRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t size() const { return end - begin; }
};

inline bool is_list(std::string_view format) {
  return format == "+l" || format == "+L" || format == "+vl" || format == "+vL";
}

/// Borrows the array.
class ListArray {
 public:
  ListArray(const ArrowSchema& schema, const ArrowArray& array, std::string_view name)
      : array_(array),
        is_view_(schema.format[1] == 'v'),
        is_wide_(schema.format[is_view_ ? 2 : 1] == 'L'),
        length_(checked_length(array, is_view_ ? 3 : 2, 1, name)),
        child_length_(std::max<std::int64_t>(0, array.children[0]->length)),
        nulls_(array, name) {
    buffer(array, 1, name);
    if (is_view_) buffer(array, 2, name);
  }

  std::int64_t size() const { return length_; }
  std::int64_t num_elements() const { return child_length_; }

  /// Row i, checked to be not null and inside the child.
  ListRange row(std::int64_t i, const Namer& name) const {
    nulls_.refuse_in(i, i + 1, "a list", name);
    const ListRange range = read(array_.offset + i);
    if (range.begin < 0 || range.end < range.begin || range.end > child_length_) {
      refuse(name(i), ": Arrow list from ", range.begin, " to ", range.end, " outside [0, ",
             child_length_, "]");
    }
    return range;
  }

 private:
  ListRange read(std::int64_t i) const {
    const std::int64_t begin = number(1, i);
    if (!is_view_) return {begin, number(1, i + 1)};
    const std::int64_t size = number(2, i);
    const bool fits = begin >= 0 && size >= 0 && size <= child_length_ && begin <= child_length_;
    return fits ? ListRange{begin, begin + size} : ListRange{begin, -1};
  }

  std::int64_t number(std::int64_t in, std::int64_t i) const {
    return is_wide_ ? load<std::int64_t>(array_.buffers[in], i)
                    : load<std::int32_t>(array_.buffers[in], i);
  }

  const ArrowArray& array_;
  bool is_view_;
  bool is_wide_;
  std::int64_t length_;
  std::int64_t child_length_;
  Nulls nulls_;
};

}  // namespace w2stree
