// Fuzz target: whatever Arrow structs or columns of ids say, they are refused or become a forest.
//
//   input   0 | formats, then batches     Arrow structs, read as batches and as a stream
//           1 | columns                   ids for build_forest
//
// The interface does not say how large buffers are, so a reader must believe some numbers: the
// lengths of arrays and the last offset of their text. Buffers here are exactly as large as those
// promise, no byte more, and every other number may be anything.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "input.hpp"
#include "w2stree/arrow_trajectories.hpp"
#include "w2stree/errors.hpp"
#include "w2stree/forest.hpp"
#include "w2stree/node_columns.hpp"

namespace w2stree {
namespace {

constexpr std::int64_t kMax64 = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMax32 = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kHostile[] = {
    -1, 0, 1, 255, 256, kMax32, -kMax32 - 1, kMax32 + 1, kMax64 - 3, kMax64, -kMax64 - 1};
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kReturns[] = {
    -0.0,   1e308,     -1e308,     5e-324, std::numeric_limits<double>::quiet_NaN(),
    -0.125, kInfinity, -kInfinity, 0.1};
constexpr std::int64_t kMaxData = 4096;
// Parts of good and of bad UTF-8, to be put together.
constexpr std::uint8_t kBytes[] = {0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xed, 0xa0, 0x80,
                                   0xf0, 0x9f, 0x98, 0x80, 0xc0, 0xf4, 0xff, 0x00};

constexpr const char* kTexts[] = {"u", "U", "vu"};
constexpr const char* kLists[] = {"+l", "+L", "+vl", "+vL"};
constexpr const char* kIntegers[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
constexpr const char* kWrong[] = {nullptr, "",   "+",  "+v",   "+vx", "+s", "+w:2",
                                  "z",     "vz", "uu", "v",    "n",   "b",  "tdD",
                                  "u",     "g",  "+l", "\xff", "gg",  "e",  "i"};

// Most bytes choose something plain, so that most inputs get far.
bool is_hostile(std::uint8_t choice) {
  return choice >= 250;
}

double draw_return(Input& input) {
  const std::uint8_t choice = input.byte();
  return is_hostile(choice) ? input.one_of(kReturns) : choice / 8.0;
}

std::int64_t size_of_number(char format) {
  switch (format) {
    case 'c':
    case 'C':
      return 1;
    case 's':
    case 'S':
      return 2;
    case 'f':
    case 'i':
    case 'I':
      return 4;
    default:
      return 8;
  }
}

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

// Gives the structs one by one and counts what is not released.
struct Stream {
  const ArrowSchema& schema;
  std::vector<const ArrowArray*> batches;
  int fails_with = 0;  // at the end
  std::size_t num_given = 0;
  int num_held = 0;

  ArrowArrayStream start() {
    ArrowArrayStream stream{};
    stream.private_data = this;
    stream.get_schema = [](ArrowArrayStream* self, ArrowSchema* out) {
      return of(self).give(of(self).schema, out);
    };
    stream.get_next = [](ArrowArrayStream* self, ArrowArray* out) {
      Stream& stream = of(self);
      if (stream.num_given == stream.batches.size()) return stream.fails_with;
      return stream.give(*stream.batches[stream.num_given++], out);
    };
    return stream;
  }

 private:
  static Stream& of(ArrowArrayStream* self) { return *static_cast<Stream*>(self->private_data); }

  template <class Struct>
  int give(const Struct& made, Struct* out) {
    *out = made;
    out->private_data = this;
    out->release = [](Struct* held) {
      --static_cast<Stream*>(held->private_data)->num_held;
      held->release = nullptr;
    };
    ++num_held;
    return 0;
  }
};

// What `make` returns, or nothing and why.
template <class Make>
auto attempt(const Make& make, std::string& why) -> std::optional<decltype(make())> {
  try {
    return make();
  } catch (const InvalidInput& error) {
    why = error.what();
    expect(!why.empty(), "refused without a word");
    return std::nullopt;
  }
}

void check_texts(const Interner& texts, const std::vector<std::int32_t>& id) {
  std::int32_t num_seen = 0;
  for (const std::int32_t one : id) {
    expect(one >= 0 && one <= num_seen, "ids in order of first appearance");
    num_seen += one == num_seen;
  }
  expect(num_seen == texts.size(), "as many ids as texts");
  std::set<std::string_view> distinct;
  for (std::int32_t i = 0; i < texts.size(); ++i) {
    expect(is_utf8(texts.text(i)), "text that is not UTF-8");
    expect(distinct.insert(texts.text(i)).second, "a text with two ids");
  }
}

void check_read(const TextTrajectories& read) {
  expect(read.step_offset.size() == read.tree_id.size() + 1, "a step_offset by trajectory");
  expect(read.total_return.size() == read.tree_id.size(), "a return by trajectory");
  expect(read.step_offset.front() == 0 && std::ranges::is_sorted(read.step_offset), "step_offset");
  expect(read.action_id.size() == static_cast<std::size_t>(read.step_offset.back()), "steps");
  expect(read.observation_id.size() == read.action_id.size(), "an observation by action");
  check_texts(read.task_ids, read.tree_id);
  check_texts(read.actions, read.action_id);
  check_texts(read.observations, read.observation_id);
}

void check_same(const TextTrajectories& left, const TextTrajectories& right) {
  const auto bits = [](const std::vector<double>& values) {
    return std::string_view(reinterpret_cast<const char*>(values.data()), 8 * values.size());
  };
  expect(left.action_id == right.action_id, "action_id");
  expect(left.observation_id == right.observation_id, "observation_id");
  expect(left.step_offset == right.step_offset, "step_offset");
  expect(left.tree_id == right.tree_id, "tree_id");
  expect(bits(left.total_return) == bits(right.total_return), "total_return");
}

// Walks every trajectory up from its end: steps agree, and no node has two equal children.
void check_paths(const TrajectoryColumns& columns, const Forest& forest) {
  const Column<std::int32_t> parent = node_parent(forest);
  const Column<std::int32_t> end = end_node(forest);
  const Column<std::int32_t> root = root_node(forest);
  std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, std::int32_t> node_of;
  for (std::size_t i = 0; i < columns.tree_id.size(); ++i) {
    std::int32_t node = end[i];
    for (auto s = static_cast<std::size_t>(columns.step_offset[i + 1]);
         s-- > static_cast<std::size_t>(columns.step_offset[i]); node = parent[at(node)]) {
      expect(parent[at(node)] != kNone, "too few steps");
      const auto& [step, known] =
          *node_of
               .insert({{parent[at(node)], columns.action_id[s], columns.observation_id[s]}, node})
               .first;
      expect(known == node, "equal siblings");
      expect(forest.action_id[at(node)] == columns.action_id[s], "another action");
      expect(forest.observation_id[at(node)] == columns.observation_id[s], "another observation");
    }
    expect(node == root[at(columns.tree_id[i])], "another tree, or too many steps");
  }
  expect(node_of.size() + root.size() == at(num_nodes(forest)), "nodes that nobody passes");
}

bool is_valid(const TrajectoryColumns& columns) {
  const auto& offset = columns.step_offset;
  const auto is_negative = [](std::int32_t id) { return id < 0; };
  const auto is_tree = [&](std::int32_t id) { return id >= 0 && id < columns.num_trees; };
  return columns.num_trees >= 0 && columns.action_id.size() == columns.observation_id.size() &&
         offset.size() == columns.tree_id.size() + 1 &&
         columns.total_return.size() == columns.tree_id.size() &&
         std::ranges::none_of(columns.action_id, is_negative) &&
         std::ranges::none_of(columns.observation_id, is_negative) && offset.front() == 0 &&
         std::ranges::is_sorted(offset) &&
         static_cast<std::size_t>(offset.back()) == columns.action_id.size() &&
         std::ranges::all_of(columns.tree_id, is_tree) &&
         std::ranges::all_of(columns.total_return, [](double x) { return std::isfinite(x); });
}

void check_forest(const TrajectoryColumns& columns) {
  std::string why;
  const auto forest = attempt([&] { return build_forest(columns); }, why);
  expect(forest.has_value() == is_valid(columns), "refused good columns, or took bad ones");
  if (!forest) return;
  expect(num_trees(*forest) == columns.num_trees, "trees");
  expect(at(num_trajectories(*forest)) == columns.tree_id.size(), "trajectories");
  expect(std::ranges::equal(forest->total_return, columns.total_return), "returns");
  check_paths(columns, *forest);
}

std::optional<TextTrajectories> read_batches(const ArrowSchema& schema,
                                             const std::vector<const ArrowArray*>& batches,
                                             std::string& why) {
  return attempt(
      [&] {
        ArrowTrajectoryReader reader(schema);
        for (const ArrowArray* batch : batches) reader.append(*batch);
        return std::move(reader).finish();
      },
      why);
}

std::optional<TextTrajectories> read_stream(Stream stream, std::string& why) {
  auto read = attempt(
      [&] {
        ArrowArrayStream started = stream.start();
        return read_trajectories(started);
      },
      why);
  expect(stream.num_held == 0, "structs released not once");
  return read;
}

void run_arrow(Input& input) {
  Producer producer(input);
  const ArrowSchema& schema = producer.table_schema();
  std::vector<const ArrowArray*> batches;
  std::string why, why_stream;
  if (read_batches(schema, batches, why)) {  // or else no array could be said to be of it
    for (int i = 1 + input.byte() % 3; i > 0; --i) batches.push_back(&producer.table(schema));
  }
  const auto read = read_batches(schema, batches, why);
  const auto streamed = read_stream({schema, batches}, why_stream);
  expect(read.has_value() == streamed.has_value() && why == why_stream, "a stream is its batches");
  expect(!read_stream({schema, batches, 5}, why_stream), "a stream that fails is refused");
  if (!read) return;
  std::int64_t num_rows = 0;
  for (const ArrowArray* batch : batches) num_rows += batch->length;
  expect(num_rows == std::ssize(read->tree_id), "a trajectory by row");
  check_read(*read);
  check_same(*read, *streamed);
  check_forest({read->action_id, read->observation_id, read->step_offset, read->tree_id,
                read->total_return, read->task_ids.size()});
}

std::vector<std::int32_t> draw_ids(Input& input, std::size_t size, std::int32_t end) {
  std::vector<std::int32_t> ids(size);
  for (std::int32_t& id : ids) {
    const std::uint8_t choice = input.byte();
    id = is_hostile(choice) ? static_cast<std::int32_t>(input.one_of(kHostile)) : choice % end;
  }
  return ids;
}

std::vector<std::int64_t> draw_offsets(Input& input, std::size_t num_trajectories) {
  std::vector<std::int64_t> offset{0};
  std::int64_t honest = 0;
  while (offset.size() <= num_trajectories) {
    const std::uint8_t choice = input.byte();
    honest += choice % 6;
    offset.push_back(is_hostile(choice) ? input.one_of(kHostile) : honest);
  }
  if (is_hostile(input.byte())) offset.front() = input.one_of(kHostile);
  return offset;
}

// An array of another size than it should have, now and then.
template <class T>
std::vector<T> resized(Input& input, std::vector<T> values) {
  const std::uint8_t choice = input.byte();
  if (is_hostile(choice)) values.resize(choice % 4);
  return values;
}

void run_columns(Input& input) {
  const std::size_t num_trajectories = input.byte() % 9;
  const auto offset = resized(input, draw_offsets(input, num_trajectories));
  const std::int64_t last = offset.empty() ? 0 : offset.back();
  const auto num_steps = static_cast<std::size_t>(std::clamp<std::int64_t>(last, 0, 256));
  const auto actions = resized(input, draw_ids(input, num_steps, 3));
  const auto observations = resized(input, draw_ids(input, num_steps, 2));
  const auto trees = resized(input, draw_ids(input, num_trajectories, 2));
  std::vector<double> returns(num_trajectories);
  for (double& value : returns) value = draw_return(input);
  returns = resized(input, std::move(returns));
  // Not more of them: a tree without trajectories is allowed, and a node each.
  const std::uint8_t choice = input.byte();
  const int num_trees = is_hostile(choice) ? -(choice % 2) : 2 + choice;
  check_forest({actions, observations, offset, trees, returns, num_trees});
}

}  // namespace
}  // namespace w2stree

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace w2stree;
  if (size == 0) return 0;
  Input input({data + 1, size - 1});
  data[0] % 2 == 0 ? run_arrow(input) : run_columns(input);
  return 0;
}
