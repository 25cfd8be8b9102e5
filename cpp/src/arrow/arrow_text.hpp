// Arrow arrays of text, turned into ids.
//
//   string         offset  0  8  12        data  g o   n o r t h l o o k
//   string_view    view    (8, 'go north') (20, buffer 0, at 0)      up to 12 bytes inside
//   dictionary     index   1  1  0         dictionary  an array of one of these
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "arrow/arrow_array.hpp"
#include "w2stree/text/interner.hpp"

namespace w2stree {

/// Whether schemas of this kind are text that TextArray reads.
bool is_text(const ArrowSchema& schema);

/// Texts laid out one by one, no dictionary. Borrows the array.
class PlainTexts {
 public:
  PlainTexts(const ArrowSchema& schema, const ArrowArray& array, std::string_view name);

  std::int64_t size() const { return length_; }

  /// Points text[0], text[1], … at elements [begin, end), which are inside the array. Throws for
  /// nulls and for texts outside their buffers.
  void read(std::int64_t begin, std::int64_t end, std::string_view* text, const Namer& name) const;

 private:
  template <class Offset>
  void read_offsets(std::int64_t begin, std::int64_t end, std::string_view* text,
                    const Namer& name) const;
  void read_views(std::int64_t begin, std::int64_t end, std::string_view* text,
                  const Namer& name) const;
  std::string_view view(std::int64_t i, const Namer& name) const;

  const ArrowArray& array_;
  char layout_;  // 'u': 32-bit offsets, 'U': 64-bit offsets, 'v': views
  std::int64_t length_;
  Nulls nulls_;
  std::int64_t data_end_ = 0;  // of the data of offset layouts
};

/// Texts with or without a dictionary. Borrows schema and array.
class TextArray {
 public:
  TextArray(const ArrowSchema& schema, const ArrowArray& array, std::string_view name);

  std::int64_t size() const { return length_; }

  /// Writes the ids of elements [begin, end), which are inside the array, to id[0], id[1], … New
  /// texts get their ids here, in order, and are checked to be UTF-8.
  void intern(std::int64_t begin, std::int64_t end, Interner& interner, std::int32_t* id,
              const Namer& name);

 private:
  void intern_plain(std::int64_t begin, std::int64_t end, Interner& interner, std::int32_t* id,
                    const Namer& name) const;
  template <class Index>
  void intern_indices(std::int64_t begin, std::int64_t end, Interner& interner, std::int32_t* id,
                      const Namer& name);
  std::int32_t intern_entry(std::int64_t entry, Interner& interner, const Namer& name);

  const ArrowSchema& schema_;
  const ArrowArray& array_;
  std::int64_t length_;
  Nulls nulls_;
  PlainTexts texts_;                 // the dictionary, if there is one
  std::vector<std::int32_t> id_of_;  // by dictionary entry; kNone until it is used
};

}  // namespace w2stree
