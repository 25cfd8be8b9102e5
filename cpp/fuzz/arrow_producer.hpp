// Arrow structs as an input says, at least half of them well made.
//
// The interface does not say how large buffers are, so a reader must believe some numbers: the
// lengths of arrays and the last offset of their text. Buffers here are exactly as large as those
// promise, no byte more, and every other number may be anything.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow_formats.hpp"
#include "hostile.hpp"
#include "input.hpp"
#include "w2stree/arrow/arrow.hpp"

namespace w2stree {

inline constexpr std::int64_t kMaxData = 4096;
// Parts of good and of bad UTF-8, to be put together.
inline constexpr std::uint8_t kBytes[] = {0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xed, 0xa0, 0x80,
                                          0xf0, 0x9f, 0x98, 0x80, 0xc0, 0xf4, 0xff, 0x00};

// Makes schemas and arrays of what an input says, and holds the memory behind them.
class Producer {
 public:
  explicit Producer(Input& input) : input_(input) {}

  const ArrowSchema& table_schema() {
    std::vector<ArrowSchema*> columns = {&text_schema("task_id"), &number_schema("total_return"),
                                         &list_schema("actions"), &list_schema("observations")};
    const std::uint8_t order = input_.byte();
    if (order >= 128) columns.push_back(&number_schema("more"));
    std::rotate(columns.begin(), columns.begin() + order % 4, columns.end());
    return spoiled(schema("+s", "", std::move(columns)));
  }

  // Of the schema above, which a reader has accepted.
  const ArrowArray& table(const ArrowSchema& schema) {
    const std::int64_t offset = few(3);
    const std::vector<std::int64_t> length_of_row = row_lengths(offset + few(9));
    const auto num_rows = static_cast<std::int64_t>(length_of_row.size());
    std::vector<ArrowArray*> columns;
    for (std::int64_t i = 0; i < schema.n_children; ++i) {
      columns.push_back(&column(*schema.children[i], length_of_row));
    }
    ArrowArray& made = array({offset, num_rows - offset}, {}, std::move(columns));
    // Without a bitmap its length promises nothing: the columns have their own.
    if (made.buffers != nullptr && made.buffers[0] == nullptr && is_hostile(input_.byte())) {
      (few(2) == 0 ? made.length : made.offset) = std::int64_t{1} << few(64) % 63;
    }
    return made;
  }

 private:
  // Where an array begins in its buffers.
  struct Slots {
    std::int64_t offset = 0, length = 0;

    std::size_t end() const { return static_cast<std::size_t>(offset + length); }
  };

  std::int64_t few(std::int64_t end) { return input_.byte() % end; }

  std::int64_t hostile() { return input_.one_of(kHostile); }

  // Schemas.

  ArrowSchema& schema(const char* format, const char* name,
                      std::vector<ArrowSchema*> children = {}) {
    ArrowSchema& made = schemas_.emplace_back();
    made.format = format;
    made.name = name;
    made.n_children = static_cast<std::int64_t>(children.size());
    made.children = schema_lists_.emplace_back(std::move(children)).data();
    return made;
  }

  ArrowSchema& spoiled(ArrowSchema& made) {
    if (!is_hostile(input_.byte())) return made;
    switch (few(6)) {
      case 0:
        made.format = input_.one_of(kWrong);
        break;
      case 1:
        made.name = input_.byte() % 2 == 0 ? nullptr : "actions";
        break;
      case 2:
        made.n_children = std::min<std::int64_t>(hostile(), made.n_children);
        break;
      case 3:
        made.children = nullptr;
        break;
      case 4:
        if (made.n_children > 0) made.children[few(made.n_children)] = nullptr;
        break;
      default:
        made.dictionary = &schema(input_.one_of(kWrong), nullptr);
    }
    return made;
  }

  ArrowSchema& text_schema(const char* name) {
    const std::int64_t choice = few(4);
    if (choice < 3) return spoiled(schema(kTexts[choice], name));
    ArrowSchema& made = schema(input_.one_of(kIntegers), name);
    made.dictionary = &spoiled(schema(input_.one_of(kTexts), nullptr));
    return spoiled(made);
  }

  ArrowSchema& number_schema(const char* name) {
    const std::int64_t choice = few(10);
    const char* format = choice == 0 ? "g" : choice == 9 ? "f" : kIntegers[choice - 1];
    return spoiled(schema(format, name));
  }

  ArrowSchema& list_schema(const char* name) {
    const char* format = input_.one_of(kLists);
    return spoiled(schema(format, name, {&text_schema("item")}));
  }

  // Arrays.

  // At an odd address now and then: producers may misalign.
  const void* block(const void* content, std::size_t size) {
    const auto shift = static_cast<std::size_t>(few(16) == 1 ? 1 : 0);
    char* begin = blocks_.emplace_back(std::make_unique<char[]>(size + shift)).get() + shift;
    if (size > 0) std::memcpy(begin, content, size);
    return begin;
  }

  template <class T>
  const void* block(const std::vector<T>& values) {
    return block(values.data(), values.size() * sizeof(T));
  }

  ArrowArray& array(Slots slots, std::vector<const void*> buffers,
                    std::vector<ArrowArray*> children = {}) {
    ArrowArray& made = arrays_.emplace_back();
    made.offset = slots.offset;
    made.length = slots.length;
    buffers.insert(buffers.begin(), validity(slots, made.null_count));
    made.n_buffers = static_cast<std::int64_t>(buffers.size());
    made.buffers = buffer_lists_.emplace_back(std::move(buffers)).data();
    made.n_children = static_cast<std::int64_t>(children.size());
    made.children = array_lists_.emplace_back(std::move(children)).data();
    return spoiled(made);
  }

  // Plain bytes choose kinds that have no nulls: 4 to 7, or more often none of these.
  const void* validity(Slots slots, std::int64_t& null_count) {
    const std::uint8_t choice = input_.byte();
    const std::int64_t kind = is_hostile(choice) ? choice - 250 : 4 + choice % 16;
    if (kind > 7) return nullptr;
    null_count = kind == 0 ? 1 : kind == 4 ? 0 : -1;
    switch (kind) {
      case 0:  // a lie
      case 5:
        return nullptr;
      case 6:
      case 7:
        return block(std::vector<std::uint8_t>((slots.end() + 7) / 8, 0xff));
      default:  // after a null_count of 0 it must not be looked at
        return nulls(slots);
    }
  }

  const void* nulls(Slots slots) {
    std::vector<std::uint8_t> bits((slots.end() + 7) / 8);
    for (std::uint8_t& eight : bits) eight = static_cast<std::uint8_t>(~input_.byte());
    return block(bits);
  }

  // Nothing here promises more than the buffers hold.
  ArrowArray& spoiled(ArrowArray& made) {
    if (!is_hostile(input_.byte())) return made;
    switch (few(8)) {
      case 0:
        made.length = few(2) == 0 ? -1 : kMax64;
        break;
      case 1:
        made.offset = few(2) == 0 ? -1 : kMax64;
        break;
      case 2:
        made.n_buffers = few(2) - 1;
        break;
      case 3:
        made.buffers = nullptr;
        break;
      case 4:
        made.buffers[few(made.n_buffers)] = nullptr;
        break;
      case 5:
        made.n_children = hostile();
        break;
      case 6:
        made.children = nullptr;
        break;
      default:
        if (made.n_children > 0) made.children[few(made.n_children)] = nullptr;
    }
    return made;
  }

  std::vector<std::int64_t> row_lengths(std::int64_t num_rows) {
    std::vector<std::int64_t> length;
    while (std::ssize(length) < num_rows) {
      const std::uint8_t choice = input_.byte();
      length.push_back(is_hostile(choice) ? 300 : choice % 6);  // 300: more than one block of text
    }
    return length;
  }

  // Columns may have other lengths than their table; those that nobody asked for, any format.
  ArrowArray& column(const ArrowSchema& schema, std::vector<std::int64_t> length_of_row) {
    if (schema.name == nullptr || std::string_view(schema.name) == "more") return array({}, {});
    const std::uint8_t choice = input_.byte();
    if (choice % 8 == 7) length_of_row.push_back(0);
    if (is_hostile(choice) && !length_of_row.empty()) length_of_row.pop_back();
    if (schema.format[0] == '+') return lists(schema, length_of_row);
    const auto length = static_cast<std::int64_t>(length_of_row.size());
    if (std::string_view(schema.name) == "task_id") return texts(schema, length);
    return numbers(schema, {few(4), length});
  }

  ArrowArray& numbers(const ArrowSchema& schema, Slots slots) {
    if (schema.format[0] == 'g') return array(slots, {block(returns<double>(slots))});
    if (schema.format[0] == 'f') return array(slots, {block(returns<float>(slots))});
    return integers(schema.format[0], slots, 120);
  }

  template <class T>
  std::vector<T> returns(Slots slots) {
    std::vector<T> values(slots.end());
    for (T& value : values) {
      const double drawn = draw_return(input_);
      value = static_cast<T>(std::abs(drawn) == 1e308 ? 1e38 : drawn);
    }
    return values;
  }

  // In [0, end) but for hostile ones, cut to size (on big-endian machines, the wrong end).
  ArrowArray& integers(char format, Slots slots, std::int64_t end) {
    const std::int64_t size = size_of_number(format);
    std::vector<char> values;
    while (values.size() < slots.end() * static_cast<std::size_t>(size)) {
      const std::uint8_t choice = input_.byte();
      const std::int64_t value = is_hostile(choice) ? hostile() : choice % end;
      const auto* bytes = reinterpret_cast<const char*>(&value);
      values.insert(values.end(), bytes, bytes + size);
    }
    return array(slots, {block(values)});
  }

  ArrowArray& texts(const ArrowSchema& schema, std::int64_t length) {
    const Slots slots{few(16) % 4, length};
    if (schema.dictionary != nullptr) return indices(schema, slots);
    switch (schema.format[0]) {
      case 'u':
        return plain_texts<std::int32_t>(slots);
      case 'U':
        return plain_texts<std::int64_t>(slots);
      default:
        return views(slots);
    }
  }

  ArrowArray& indices(const ArrowSchema& schema, Slots slots) {
    const std::int64_t num_entries = few(8);
    ArrowArray& entries = texts(*schema.dictionary, num_entries);
    ArrowArray& made = integers(schema.format[0], slots, std::max<std::int64_t>(1, num_entries));
    if (!is_hostile(input_.byte())) made.dictionary = &entries;
    return made;
  }

  std::vector<char> characters(std::int64_t size) {
    std::vector<char> text(static_cast<std::size_t>(size));
    for (char& one : text) {
      const std::uint8_t choice = input_.byte();
      one = static_cast<char>(choice < 240 ? 'a' + choice % 4 : kBytes[choice - 240]);
    }
    return text;
  }

  template <class Offset>
  ArrowArray& plain_texts(Slots slots) {
    std::vector<Offset> offset;
    std::int64_t honest = 0;
    for (std::size_t i = 0; i <= slots.end(); ++i) {
      const std::uint8_t choice = input_.byte();
      honest += choice % 5;
      offset.push_back(static_cast<Offset>(is_hostile(choice) ? hostile() : honest));
    }
    if (offset.back() > kMaxData) offset.back() = static_cast<Offset>(honest);  // it is believed
    const std::int64_t size = std::max<std::int64_t>(0, offset.back());
    return array(slots, {block(offset), block(characters(size))});
  }

  ArrowArray& views(Slots slots) {
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(few(3)));
    std::vector<const void*> buffers;
    for (std::int64_t& size : sizes) {
      size = 32 + few(32);
      buffers.push_back(block(characters(size)));
      if (is_hostile(input_.byte())) size = std::min(size, hostile());
    }
    std::vector<std::int32_t> view;
    for (std::size_t i = 0; i < slots.end(); ++i) add_view(view, sizes);
    buffers.insert(buffers.begin(), block(view));
    buffers.push_back(sizes.empty() && few(2) == 0 ? nullptr : block(sizes));
    return array(slots, std::move(buffers));
  }

  void add_view(std::vector<std::int32_t>& view, const std::vector<std::int64_t>& sizes) {
    const std::uint8_t choice = input_.byte();
    if (choice < 160 || sizes.empty()) return add_inline(view, choice % 13);
    const auto in = static_cast<std::int32_t>(input_.byte() % sizes.size());
    std::array<std::int32_t, 4> made = {13 + choice % 8, 0, in, static_cast<std::int32_t>(few(13))};
    if (is_hostile(choice)) made[input_.byte() % 4] = static_cast<std::int32_t>(hostile());
    view.insert(view.end(), made.begin(), made.end());
  }

  void add_inline(std::vector<std::int32_t>& view, std::int32_t size) {
    std::array<std::int32_t, 4> made = {size};
    const std::vector<char> text = characters(size);
    if (size > 0) std::memcpy(&made[1], text.data(), text.size());
    view.insert(view.end(), made.begin(), made.end());
  }

  ArrowArray& lists(const ArrowSchema& schema, const std::vector<std::int64_t>& length_of_row) {
    const Slots slots{few(16) % 4, std::ssize(length_of_row)};
    std::vector<std::int64_t> length(slots.end());  // nothing in the rows before the offset
    std::copy(length_of_row.begin(), length_of_row.end(), length.begin() + slots.offset);
    std::int64_t num_elements = few(4);  // unused ones, at the end
    for (const std::int64_t one : length) num_elements += one;
    ArrowArray& child = texts(*schema.children[0], num_elements);
    const std::string_view format = schema.format;
    if (format == "+l") return plain_lists<std::int32_t>(slots, length, child);
    if (format == "+L") return plain_lists<std::int64_t>(slots, length, child);
    if (format == "+vl") return list_views<std::int32_t>(slots, length, child);
    return list_views<std::int64_t>(slots, length, child);
  }

  template <class Offset>
  ArrowArray& plain_lists(Slots slots, const std::vector<std::int64_t>& length, ArrowArray& child) {
    std::vector<Offset> offset{0};
    std::int64_t end = 0;
    for (const std::int64_t one : length) {
      end += one;
      offset.push_back(static_cast<Offset>(is_hostile(input_.byte()) ? hostile() : end));
    }
    return array(slots, {block(offset)}, {&child});
  }

  // In order, or anywhere.
  template <class Offset>
  ArrowArray& list_views(Slots slots, const std::vector<std::int64_t>& length, ArrowArray& child) {
    std::vector<Offset> offset, size;
    std::int64_t end = 0;
    for (const std::int64_t one : length) {
      const std::uint8_t choice = input_.byte();
      offset.push_back(static_cast<Offset>(choice < 200 ? end : choice % (end + 1)));
      size.push_back(static_cast<Offset>(one));
      if (is_hostile(choice)) (few(2) == 0 ? offset : size).back() = static_cast<Offset>(hostile());
      end += one;
    }
    return array(slots, {block(offset), block(size)}, {&child});
  }

  Input& input_;
  std::deque<ArrowSchema> schemas_;
  std::deque<ArrowArray> arrays_;
  std::deque<std::vector<ArrowSchema*>> schema_lists_;
  std::deque<std::vector<ArrowArray*>> array_lists_;
  std::deque<std::vector<const void*>> buffer_lists_;
  std::deque<std::unique_ptr<char[]>> blocks_;
};

}  // namespace w2stree
