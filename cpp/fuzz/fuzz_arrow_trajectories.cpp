// Fuzz target: whatever Arrow structs or columns of ids say, they are refused or become a forest.
//
//   input   0 | formats, then batches     Arrow structs, read as batches and as a stream
//           1 | columns                   ids for build_forest
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrow_producer.hpp"
#include "arrow_stream.hpp"
#include "hostile.hpp"
#include "input.hpp"
#include "properties.hpp"
#include "w2stree/arrow/arrow_trajectories.hpp"
#include "w2stree/forest/forest.hpp"

namespace w2stree {
namespace {

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
