#include "arrow/arrow_text.hpp"

#include <algorithm>
#include <array>

#include "arrow/arrow_numbers.hpp"

namespace w2stree {
namespace {

constexpr std::int64_t kViewSize = 16;
constexpr std::int32_t kMaxInline = 12;
constexpr std::int64_t kBlock = 256;

bool is_plain(std::string_view format) {
  return format == "u" || format == "U" || format == "vu";
}

const ArrowSchema& plain_schema(const ArrowSchema& schema) {
  return schema.dictionary == nullptr ? schema : *schema.dictionary;
}

const ArrowArray& plain_array(const ArrowSchema& schema, const ArrowArray& array,
                              std::string_view name) {
  if (schema.dictionary == nullptr) return array;
  if (array.dictionary == nullptr) refuse(name, ": Arrow array without its dictionary");
  return *array.dictionary;
}

void check_utf8(std::string_view text, std::int64_t i, const Namer& name) {
  if (!is_utf8(text)) refuse(name(i), " is not UTF-8");
}

}  // namespace

bool is_text(const ArrowSchema& schema) {
  if (schema.dictionary == nullptr) return is_plain(schema.format);
  return is_integer(schema.format) && schema.dictionary->format != nullptr &&
         schema.dictionary->dictionary == nullptr && is_plain(schema.dictionary->format);
}

PlainTexts::PlainTexts(const ArrowSchema& schema, const ArrowArray& array, std::string_view name)
    : array_(array),
      layout_(schema.format[0]),
      length_(checked_length(array, 3, 0, name)),
      nulls_(array, name) {
  const void* offsets = buffer(array, 1, name);
  if (layout_ == 'v' || length_ == 0) return;
  const std::int64_t last = array.offset + length_;
  data_end_ =
      layout_ == 'u' ? load<std::int32_t>(offsets, last) : load<std::int64_t>(offsets, last);
  if (data_end_ > 0 && array.buffers[2] == nullptr) {
    refuse(name, ": Arrow array without its buffer 2");
  }
}

void PlainTexts::read(std::int64_t begin, std::int64_t end, std::string_view* text,
                      const Namer& name) const {
  nulls_.refuse_in(begin, end, "text", name);
  if (layout_ == 'u') return read_offsets<std::int32_t>(begin, end, text, name);
  if (layout_ == 'U') return read_offsets<std::int64_t>(begin, end, text, name);
  read_views(begin, end, text, name);
}

template <class Offset>
void PlainTexts::read_offsets(std::int64_t begin, std::int64_t end, std::string_view* text,
                              const Namer& name) const {
  const auto* data = static_cast<const char*>(array_.buffers[2]);
  std::int64_t from = begin < end ? load<Offset>(array_.buffers[1], array_.offset + begin) : 0;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t to = load<Offset>(array_.buffers[1], array_.offset + i + 1);
    if (from < 0 || to < from || to > data_end_) {
      refuse(name(i), ": Arrow offsets ", from, " to ", to, " outside [0, ", data_end_, "]");
    }
    *text++ = {data + (to > from ? from : 0), static_cast<std::size_t>(to - from)};
    from = to;
  }
}

void PlainTexts::read_views(std::int64_t begin, std::int64_t end, std::string_view* text,
                            const Namer& name) const {
  for (std::int64_t i = begin; i < end; ++i) *text++ = view(i, name);
}

std::string_view PlainTexts::view(std::int64_t i, const Namer& name) const {
  const char* bytes = static_cast<const char*>(array_.buffers[1]) + (array_.offset + i) * kViewSize;
  const auto size = load<std::int32_t>(bytes, 0);
  if (size >= 0 && size <= kMaxInline) return {bytes + 4, static_cast<std::size_t>(size)};

  const std::int64_t num_data = array_.n_buffers - 3;  // validity, views, data…, sizes of data
  const auto in = load<std::int32_t>(bytes, 2);
  const auto from = load<std::int32_t>(bytes, 3);
  const void* sizes = array_.buffers[array_.n_buffers - 1];
  if (size < 0 || in < 0 || in >= num_data || sizes == nullptr ||
      array_.buffers[2 + in] == nullptr) {
    refuse(name(i), ": Arrow view of ", size, " bytes in data buffer ", in, " of ", num_data);
  }
  if (from < 0 || std::int64_t{from} + size > load<std::int64_t>(sizes, in)) {
    refuse(name(i), ": Arrow view from ", from, " of ", size, " bytes outside a buffer of ",
           load<std::int64_t>(sizes, in));
  }
  return {static_cast<const char*>(array_.buffers[2 + in]) + from, static_cast<std::size_t>(size)};
}

TextArray::TextArray(const ArrowSchema& schema, const ArrowArray& array, std::string_view name)
    : schema_(schema),
      array_(array),
      length_(checked_length(array, 2, 0, name)),
      nulls_(array, name),
      texts_(plain_schema(schema), plain_array(schema, array, name), name) {
  if (schema.dictionary == nullptr) return;
  buffer(array, 1, name);
  id_of_.assign(static_cast<std::size_t>(texts_.size()), kNone);
}

void TextArray::intern(std::int64_t begin, std::int64_t end, Interner& interner, std::int32_t* id,
                       const Namer& name) {
  if (schema_.dictionary == nullptr) return intern_plain(begin, end, interner, id, name);
  visit_integer(schema_.format, [&](auto index) {
    intern_indices<decltype(index)>(begin, end, interner, id, name);
  });
}

void TextArray::intern_plain(std::int64_t begin, std::int64_t end, Interner& interner,
                             std::int32_t* id, const Namer& name) const {
  std::array<std::string_view, kBlock> text;
  while (begin < end) {
    const std::int64_t size = std::min(kBlock, end - begin);
    texts_.read(begin, begin + size, text.data(), name);
    std::int32_t next = interner.size();
    interner.intern({text.data(), static_cast<std::size_t>(size)}, id);
    for (std::int64_t i = 0; next < interner.size(); ++i) {  // the new ones, in order
      if (id[i] == next) check_utf8(interner.text(next++), begin + i, name);
    }
    begin += size;
    id += size;
  }
}

template <class Index>
void TextArray::intern_indices(std::int64_t begin, std::int64_t end, Interner& interner,
                               std::int32_t* id, const Namer& name) {
  nulls_.refuse_in(begin, end, "text", name);
  for (std::int64_t i = begin; i < end; ++i) {
    const auto index = load<Index>(array_.buffers[1], array_.offset + i);
    const auto entry = static_cast<std::uint64_t>(index);  // a negative one is out of range too
    if (entry >= id_of_.size()) {
      refuse(name(i), ": Arrow dictionary index ", +index, " outside [0, ", id_of_.size(), ")");
    }
    if (id_of_[entry] == kNone) {
      const Namer user = [&](std::int64_t) { return name(i); };
      id_of_[entry] = intern_entry(static_cast<std::int64_t>(entry), interner, user);
    }
    *id++ = id_of_[entry];
  }
}

// By use, not by place in the dictionary: ids follow first appearance.
std::int32_t TextArray::intern_entry(std::int64_t entry, Interner& interner, const Namer& name) {
  std::string_view text;
  texts_.read(entry, entry + 1, &text, name);
  check_utf8(text, entry, name);
  return interner.intern(text);
}

}  // namespace w2stree
