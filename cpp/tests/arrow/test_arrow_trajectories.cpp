#include <cerrno>
#include <string>
#include <vector>

#include "support/arrow_table.hpp"
#include "support/check.hpp"
#include "w2stree/arrow/arrow_trajectories.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;
using Offsets = std::vector<std::int64_t>;

TextTrajectories read(ArrowTable& table) {
  ArrowTrajectoryReader reader(table.table.schema);
  reader.append(table.table.array);
  return std::move(reader).finish();
}

// Element i of a buffer, to be spoiled.
template <class T>
T& element(ArrowColumn& column, int buffer, int i) {
  return static_cast<T*>(const_cast<void*>(column.array.buffers[buffer]))[i];
}

void reads_columns() {
  ArrowTable table;
  const TextTrajectories read_ = read(table);
  CHECK(read_.action_id == Ids{0, 1, 0} && read_.observation_id == Ids{0, 0, 1});
  CHECK(read_.step_offset == Offsets{0, 2, 3} && read_.tree_id == Ids{0, 1});
  CHECK(read_.total_return == std::vector<double>{1.0, 0.0});
  CHECK(read_.actions.text(0) == "ab" && read_.actions.text(1) == "c");
  CHECK(read_.task_ids.text(1) == "y");
}

void reads_batch_after_batch() {
  ArrowTable table;
  ArrowTable none;
  none.table.array.length = 0;
  ArrowTrajectoryReader reader(table.table.schema);
  for (const ArrowTable* batch : {&none, &table, &none, &table}) reader.append(batch->table.array);
  const TextTrajectories read_ = std::move(reader).finish();
  CHECK(read_.step_offset == Offsets{0, 2, 3, 5, 6} && read_.tree_id == Ids{0, 1, 0, 1});
  CHECK(read_.action_id == Ids{0, 1, 0, 0, 1, 0} && read_.actions.size() == 2);
}

void reads_slices() {
  ArrowTable table;
  table.table.array.offset = 1;  // of the table: from its second row on
  table.table.array.length = 1;
  TextTrajectories read_ = read(table);
  CHECK(read_.step_offset == Offsets{0, 1} && read_.actions.text(0) == "ab");
  CHECK(read_.task_ids.text(0) == "y" && read_.total_return == std::vector<double>{0.0});

  ArrowTable other;
  other.table.array.length = 1;  // of each column
  for (ArrowArray* column : {&other.task_id.array, &other.total_return.array, &other.actions.array,
                             &other.observations.array}) {
    column->offset = 1;
    column->length = 1;
  }
  CHECK(read(other).task_ids.text(0) == "y" && read(other).action_id == Ids{0});
}

void reads_dictionaries_by_use() {
  ArrowTable table;
  ArrowColumn words("u", "", 3);
  words.no_buffer().buffer<std::int32_t>({0, 1, 2, 3}).buffer(bytes("zca"));
  ArrowColumn index("c", "item", 3);
  index.no_buffer().buffer<std::int8_t>({2, 1, 2}).dictionary(words);
  table.actions.schema.children[0] = &index.schema;
  table.actions.array.children[0] = &index.array;
  const TextTrajectories read_ = read(table);
  CHECK(read_.action_id == Ids{0, 1, 0} && read_.actions.size() == 2);
  CHECK(read_.actions.text(0) == "a" && read_.actions.text(1) == "c");

  element<std::int8_t>(index, 1, 2) = 3;
  CHECK_REFUSED(read(table), "actions[1][0]: Arrow dictionary index 3 outside [0, 3)");
  element<std::int8_t>(index, 1, 2) = -1;
  CHECK_REFUSED(read(table), "actions[1][0]: Arrow dictionary index -1 outside [0, 3)");
  element<std::int8_t>(index, 1, 2) = 0;
  words.array.null_count = 1;
  const std::uint8_t valid = 0b110;
  words.array.buffers[0] = &valid;
  CHECK_REFUSED(read(table), "actions[1][0] is null; expected text");
  index.array.dictionary = nullptr;
  CHECK_REFUSED(read(table), "actions: Arrow array without its dictionary");
}

// Sizes and places of views: "ab" inside the view, a long one in a data buffer.
void reads_views() {
  struct View {
    std::int32_t size;
    char prefix[4];
    std::int32_t buffer;
    std::int32_t offset;
  };
  const std::string text = "go to the kitchen";
  ArrowTable table;
  ArrowColumn view("vu", "item", 3);
  view.no_buffer().buffer<View>({{2, {'a', 'b'}, 0, 0}, {14, {}, 0, 3}, {2, {'a', 'b'}, 0, 0}});
  view.buffer(bytes(text)).buffer<std::int64_t>({17});
  table.actions.schema.children[0] = &view.schema;
  table.actions.array.children[0] = &view.array;
  const TextTrajectories read_ = read(table);
  CHECK(read_.action_id == Ids{0, 1, 0});
  CHECK(read_.actions.text(0) == "ab" && read_.actions.text(1) == "to the kitchen");

  auto& spoiled = element<View>(view, 1, 1);
  const View good = spoiled;
  spoiled.offset = 4;
  CHECK_REFUSED(read(table), "actions[0][1]: Arrow view from 4 of 14 bytes outside a buffer of 17");
  spoiled.offset = -1;
  CHECK_REFUSED(read(table),
                "actions[0][1]: Arrow view from -1 of 14 bytes outside a buffer of 17");
  spoiled = good;
  spoiled.buffer = 1;
  CHECK_REFUSED(read(table), "actions[0][1]: Arrow view of 14 bytes in data buffer 1 of 1");
  spoiled = good;
  spoiled.size = -14;
  CHECK_REFUSED(read(table), "actions[0][1]: Arrow view of -14 bytes in data buffer 0 of 1");
}

void reads_list_views_in_any_order() {
  ArrowTable table;
  ArrowColumn lists("+vl", "actions", 2);
  lists.no_buffer().buffer<std::int32_t>({1, 0}).buffer<std::int32_t>({2, 1}).child(table.action);
  table.table.schema.children[2] = &lists.schema;
  table.table.array.children[2] = &lists.array;
  TextTrajectories read_ = read(table);
  CHECK(read_.action_id == Ids{0, 1, 1} && read_.actions.text(0) == "c");
  element<std::int32_t>(lists, 2, 0) = 3;
  CHECK_REFUSED(read(table), "actions[0]: Arrow list from 1 to 4 outside [0, 3]");
  element<std::int32_t>(lists, 2, 0) = -1;
  CHECK_REFUSED(read(table), "actions[0]: Arrow list from 1 to -1 outside [0, 3]");
}

void refuses_other_columns() {
  ArrowTable table;
  table.action.schema.format = "z";
  CHECK_REFUSED(read(table),
                "column actions has Arrow format \"+L\" of \"z\"; expected a list of text");
  table.actions.schema.format = "u";
  CHECK_REFUSED(read(table),
                "column actions has Arrow format \"u\" of \"z\"; expected a list of text");
  table.total_return.schema.format = "b";
  CHECK_REFUSED(
      read(table),
      "column total_return has Arrow format \"b\"; expected a float64, float32 or integer");
  table.task_id.schema.name = "task";
  CHECK_REFUSED(read(table),
                "column task_id is missing; there are task, total_return, actions, observations");
  table.task_id.schema.name = "actions";
  table.total_return.schema.name = "task_id";
  table.total_return.schema.format = "u";
  table.observations.schema.name = "total_return";
  table.observations.schema.format = "g";
  CHECK_REFUSED(read(table), "column actions appears twice");
  table.table.schema.format = "i";
  CHECK_REFUSED(read(table), "the table has Arrow format \"i\"; expected a struct of columns (+s)");
  table.table.schema.format = nullptr;
  CHECK_REFUSED(read(table), "the table: Arrow schema without a format");
}

void refuses_nulls() {
  const std::uint8_t second_is_null = 0b101;
  const auto spoil = [&](ArrowTable& table, ArrowColumn& column) {
    column.array.null_count = -1;  // not counted
    column.array.buffers[0] = &second_is_null;
    return read(table);
  };
  ArrowTable table[6];
  CHECK_REFUSED(spoil(table[0], table[0].table), "row 1 is null; expected a trajectory");
  CHECK_REFUSED(spoil(table[1], table[1].task_id), "task_id[1] is null; expected text");
  CHECK_REFUSED(spoil(table[2], table[2].total_return),
                "total_return[1] is null; expected a number");
  CHECK_REFUSED(spoil(table[3], table[3].actions), "actions[1] is null; expected a list");
  CHECK_REFUSED(spoil(table[4], table[4].observation), "observations[0][1] is null; expected text");
  table[5].action.array.null_count = 1;
  CHECK_REFUSED(read(table[5]), "actions: Arrow array with 1 nulls but no validity buffer");
}

void finds_nulls_of_slices() {
  const std::uint8_t second_is_null = 0b101;
  ArrowTable table;
  table.table.array.length = 1;
  table.total_return.array.offset = 1;
  table.total_return.array.null_count = 1;
  table.total_return.array.buffers[0] = &second_is_null;
  CHECK_REFUSED(read(table), "total_return[0] is null; expected a number");
  table.total_return.array.offset = 0;
  CHECK(read(table).total_return == std::vector<double>{1.0});
}

void refuses_offsets_that_contradict() {
  ArrowTable table[5];
  element<std::int64_t>(table[0].actions, 1, 2) = 4;
  CHECK_REFUSED(read(table[0]), "actions[1]: Arrow list from 2 to 4 outside [0, 3]");
  element<std::int32_t>(table[1].observations, 1, 0) = -1;
  CHECK_REFUSED(read(table[1]), "observations[0]: Arrow list from -1 to 2 outside [0, 3]");
  element<std::int64_t>(table[2].action, 1, 1) = 4;
  CHECK_REFUSED(read(table[2]), "actions[0][1]: Arrow offsets 4 to 3 outside [0, 5]");
  element<std::int64_t>(table[3].action, 1, 1) = 6;
  CHECK_REFUSED(read(table[3]), "actions[0][0]: Arrow offsets 0 to 6 outside [0, 5]");
  element<std::int32_t>(table[4].observation, 1, 0) = -7;
  CHECK_REFUSED(read(table[4]), "observations[0][0]: Arrow offsets -7 to 1 outside [0, 3]");
}

void refuses_lists_of_unequal_length() {
  ArrowTable table;
  element<std::int32_t>(table.observations, 1, 1) = 1;
  CHECK_REFUSED(read(table), "observations[0] has 1 elements; expected 2, as in actions[0]");
}

void refuses_text_that_is_not_utf8() {
  ArrowTable table;
  element<char>(table.observation, 2, 2) = '\xff';
  CHECK_REFUSED(read(table), "observations[1][0] is not UTF-8");
}

void refuses_arrays_of_another_shape() {
  ArrowTable table[8];
  table[0].task_id.array.length = 1;
  CHECK_REFUSED(read(table[0]), "column task_id has 1 rows; expected 2");
  table[1].actions.array.length = -1;
  CHECK_REFUSED(read(table[1]), "actions: Arrow array of length -1 at offset 0");
  table[2].table.array.n_children = 3;
  CHECK_REFUSED(read(table[2]), "the table: Arrow array with 3 children; expected 4");
  table[3].action.array.n_buffers = 2;
  CHECK_REFUSED(read(table[3]), "actions: Arrow array with 2 buffers; expected 3");
  table[4].action.array.buffers[2] = nullptr;
  CHECK_REFUSED(read(table[4]), "actions: Arrow array without its buffer 2");
  table[5].total_return.array.buffers[1] = nullptr;
  CHECK_REFUSED(read(table[5]), "total_return: Arrow array without its buffer 1");
  table[6].observations.array.children[0] = nullptr;
  CHECK_REFUSED(read(table[6]), "observations: Arrow array without its child 0");
  table[7].total_return.array.offset = std::int64_t{1} << 62;
  CHECK_REFUSED(read(table[7]),
                "total_return: Arrow array of length 2 at offset 4611686018427387904");
}

// One trajectory long enough for a thread each of actions and observations.
void reads_the_same_on_two_threads() {
  constexpr std::int64_t kSteps = 60'000;
  ArrowTable table;
  std::vector<std::int64_t> wide;
  std::vector<std::int32_t> narrow;
  std::string text;
  for (int i = 0; i <= kSteps; ++i) {
    wide.push_back(2 * i);
    narrow.push_back(i);
    text += {static_cast<char>('a' + i % 7), static_cast<char>('a' + i % 11)};
  }
  ArrowColumn action("U", "item", kSteps);
  ArrowColumn observation("u", "item", kSteps);
  action.no_buffer().buffer(wide).buffer(bytes(text));
  observation.no_buffer().buffer(narrow).buffer(bytes(text));
  table.actions.array.children[0] = &action.array;
  table.observations.array.children[0] = &observation.array;
  element<std::int64_t>(table.actions, 1, 1) = element<std::int64_t>(table.actions, 1, 2) = kSteps;
  element<std::int32_t>(table.observations, 1, 1) = kSteps;
  element<std::int32_t>(table.observations, 1, 2) = kSteps;

  const TextTrajectories alone = read(table);
  ArrowTrajectoryReader reader(table.table.schema);
  reader.append(table.table.array, {2, {}});
  const TextTrajectories together = std::move(reader).finish();
  CHECK(alone.actions.size() == 77 && alone.step_offset == Offsets{0, kSteps, kSteps});
  CHECK(together.action_id == alone.action_id);
  CHECK(together.observation_id == alone.observation_id);

  // Of two threads the other one may do it all, before the caller has anything to wait for.
  ArrowTrajectoryReader polled(table.table.schema);
  int num_polls = 0;
  polled.append(table.table.array, {1, [&] { ++num_polls; }});
  CHECK(num_polls > 0);

  element<char>(action, 2, 2 * kSteps - 1) = '\xff';
  element<char>(observation, 2, 0) = '\xff';
  ArrowTrajectoryReader spoiled(table.table.schema);
  CHECK_REFUSED(spoiled.append(table.table.array, {2, {}}), "actions[0][59999] is not UTF-8");
}

// A stream of `num_batches` tables that counts what is released.
struct Stream {
  ArrowTable table;
  int num_batches = 2;
  int fails_with = 0;
  int num_released_schemas = 0;
  int num_released_arrays = 0;
  ArrowArrayStream stream{};

  Stream() {
    stream.private_data = this;
    stream.get_schema = [](ArrowArrayStream* self, ArrowSchema* out) {
      *out = of(self).table.table.schema;
      out->private_data = self->private_data;
      out->release = [](ArrowSchema* schema) {
        ++static_cast<Stream*>(schema->private_data)->num_released_schemas;
        schema->release = nullptr;
      };
      return 0;
    };
    stream.get_next = [](ArrowArrayStream* self, ArrowArray* out) {
      if (of(self).num_batches == 0) return of(self).fails_with;
      --of(self).num_batches;
      *out = of(self).table.table.array;
      out->private_data = self->private_data;
      out->release = [](ArrowArray* array) {
        ++static_cast<Stream*>(array->private_data)->num_released_arrays;
        array->release = nullptr;
      };
      return 0;
    };
    stream.get_last_error = [](ArrowArrayStream*) { return "the disk is gone"; };
  }

  static Stream& of(ArrowArrayStream* self) { return *static_cast<Stream*>(self->private_data); }
};

void releases_what_a_stream_gives_once() {
  Stream good;
  CHECK(read_trajectories(good.stream).tree_id == Ids{0, 1, 0, 1});
  CHECK(good.num_released_schemas == 1 && good.num_released_arrays == 2);

  Stream torn;
  torn.fails_with = EIO;
  CHECK_REFUSED(read_trajectories(torn.stream),
                "the Arrow stream failed with code 5: the disk is gone");
  CHECK(torn.num_released_schemas == 1 && torn.num_released_arrays == 2);

  Stream spoiled;
  spoiled.table.action.array.n_buffers = 0;
  CHECK_REFUSED(read_trajectories(spoiled.stream),
                "actions: Arrow array with 0 buffers; expected 2");
  CHECK(spoiled.num_released_schemas == 1 && spoiled.num_released_arrays == 1);
}

void owners_move_and_release_once() {
  Stream stream;
  ArrowSchema schema{};
  stream.stream.get_schema(&stream.stream, &schema);
  {
    const ArrowOwner<ArrowSchema> owner(schema);
    CHECK(schema.release == nullptr);
  }
  CHECK(stream.num_released_schemas == 1);
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({reads_columns, reads_batch_after_batch, reads_slices, reads_dictionaries_by_use,
              reads_views, reads_list_views_in_any_order, refuses_other_columns, refuses_nulls,
              finds_nulls_of_slices, refuses_offsets_that_contradict,
              refuses_lists_of_unequal_length, refuses_text_that_is_not_utf8,
              refuses_arrays_of_another_shape, reads_the_same_on_two_threads,
              releases_what_a_stream_gives_once, owners_move_and_release_once});
}
