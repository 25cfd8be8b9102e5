#include "w2stree/arrow/arrow_trajectories.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

#include "arrow/arrow_array.hpp"
#include "arrow/arrow_list.hpp"
#include "arrow/arrow_numbers.hpp"
#include "arrow/arrow_text.hpp"
#include "base/parallel.hpp"

namespace w2stree {
namespace {

constexpr std::int64_t kMaxSteps = std::int64_t{1} << 40;  // so that sums of lengths stay exact
constexpr std::int64_t kStepsPerCheck = 4096;
// How often the rows of a list view may hold an element, on average: views that overlap make
// steps, 8 bytes each, out of next to nothing.
constexpr std::int64_t kMaxUses = 64;
constexpr std::int64_t kMinStepsPerThread = 20'000;  // a millisecond: starting one costs a tenth

bool is_list_of_text(const ArrowSchema& schema) {
  if (!is_list(schema.format) || schema.n_children != 1) return false;
  check_schema(*schema.children[0], "list");
  return is_text(*schema.children[0]);
}

struct Kind {
  const char* name;
  const char* expected;
  bool (*holds)(const ArrowSchema& schema);
};

// In this order wherever columns are indexed.
enum Field : std::size_t { kTaskId, kTotalReturn, kActions, kObservations };
constexpr std::array<Kind, 4> kColumns{{
    {"task_id", "text (string, large_string, string_view or a dictionary of one)", is_text},
    {"total_return", "a float64, float32 or integer",
     [](const ArrowSchema& schema) {
       return schema.dictionary == nullptr && is_number(schema.format);
     }},
    {"actions", "a list of text", is_list_of_text},
    {"observations", "a list of text", is_list_of_text},
}};

bool is_called(const ArrowSchema& schema, const char* name) {
  return schema.name != nullptr && std::strcmp(schema.name, name) == 0;
}

std::string names_of(const ArrowSchema& schema) {
  std::string names;
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    const char* name = schema.children[i]->name;
    names += (i == 0 ? "" : ", ") + std::string(name == nullptr ? "(unnamed)" : name);
  }
  return names.empty() ? "there is none" : "there are " + names;
}

// Which child of the schema is this column.
std::int64_t find(const ArrowSchema& schema, const Kind& kind) {
  std::int64_t found = -1;
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    if (!is_called(*schema.children[i], kind.name)) continue;
    if (found >= 0) refuse("column ", kind.name, " appears twice");
    found = i;
  }
  if (found < 0) refuse("column ", kind.name, " is missing; ", names_of(schema));
  const ArrowSchema& child = *schema.children[found];
  check_schema(child, kind.name);
  if (!kind.holds(child)) {
    refuse("column ", kind.name, " has Arrow format ", describe_format(child), "; expected ",
           kind.expected);
  }
  return found;
}

// One batch, borrowed, on its way into the columns read so far.
class Batch {
 public:
  Batch(const ArrowSchema& schema, const std::array<std::int64_t, 4>& place,
        const ArrowArray& batch, TextTrajectories& read, const Execution& execution)
      : schema_(schema),
        place_(place),
        batch_(batch),
        num_rows_(checked_length(batch, 1, schema.n_children, "the table")),
        first_row_(static_cast<std::int64_t>(read.tree_id.size())),
        read_(read),
        execution_(execution) {
    const Namer row = [this](std::int64_t i) { return "row " + std::to_string(first_row_ + i); };
    Nulls(batch, "the table").refuse_in(0, num_rows_, "a trajectory", row);
  }

  void append() {
    append_tasks();
    append_returns();
    append_steps();
  }

 private:
  const ArrowSchema& schema_of(Field field) const { return *schema_.children[place_[field]]; }
  const ArrowArray& array_of(Field field) const { return *batch_.children[place_[field]]; }

  Namer rows_of(Field field) const {
    return [this, field](std::int64_t i) {
      const std::int64_t row = first_row_ + i - batch_.offset;
      return kColumns[field].name + ("[" + std::to_string(row) + "]");
    };
  }

  // Rows of the batch are elements [offset, offset + num_rows) of each column.
  void check_rows(std::int64_t length, Field field) const {
    if (length < batch_.offset + num_rows_) {
      refuse("column ", kColumns[field].name, " has ", length, " rows; expected ",
             batch_.offset + num_rows_);
    }
  }

  void append_tasks() {
    TextArray tasks(schema_of(kTaskId), array_of(kTaskId), kColumns[kTaskId].name);
    check_rows(tasks.size(), kTaskId);
    const std::size_t size = read_.tree_id.size();
    read_.tree_id.resize(size + static_cast<std::size_t>(num_rows_));
    tasks.intern(batch_.offset, batch_.offset + num_rows_, read_.task_ids,
                 read_.tree_id.data() + size, rows_of(kTaskId));
  }

  void append_returns() {
    const ArrowArray& array = array_of(kTotalReturn);
    const std::string_view name = kColumns[kTotalReturn].name;
    check_rows(checked_length(array, 2, 0, name), kTotalReturn);
    Nulls(array, name)
        .refuse_in(batch_.offset, batch_.offset + num_rows_, "a number", rows_of(kTotalReturn));
    const void* values = buffer(array, 1, name);
    visit_number(schema_of(kTotalReturn).format, [&](auto number) {
      for (std::int64_t i = 0; i < num_rows_; ++i) {
        const auto value = load<decltype(number)>(values, array.offset + batch_.offset + i);
        read_.total_return.push_back(static_cast<double>(value));
      }
    });
  }

  void append_steps() {
    const ListArray actions = lists_of(kActions);
    const ListArray observations = lists_of(kObservations);
    append_lengths(actions, observations);
    append_texts(actions, observations);
  }

  // The two columns know nothing of one another, so each may have a thread. Of two faults the
  // first column's is told, whichever was found first.
  void append_texts(const ListArray& actions, const ListArray& observations) {
    const std::int64_t num_steps =
        read_.step_offset.back() - static_cast<std::int64_t>(read_.action_id.size());
    Execution execution = execution_;
    if (num_steps < kMinStepsPerThread) execution.num_threads = 1;
    std::array<std::exception_ptr, 2> fault;
    parallel_for(2, execution, [&](std::int32_t column, std::int32_t, Watch& watch) {
      try {
        column == 0 ? append_column(kActions, actions, read_.actions, read_.action_id, watch)
                    : append_column(kObservations, observations, read_.observations,
                                    read_.observation_id, watch);
      } catch (const InvalidInput&) {
        fault[at(column)] = std::current_exception();
      }
    });
    for (const std::exception_ptr& found : fault) {
      if (found) std::rethrow_exception(found);
    }
  }

  ListArray lists_of(Field field) const {
    const ListArray list(schema_of(field), array_of(field), kColumns[field].name);
    check_rows(list.size(), field);
    return list;
  }

  void append_lengths(const ListArray& actions, const ListArray& observations) {
    const Namer name_action = rows_of(kActions);
    const Namer name_observation = rows_of(kObservations);
    const std::int64_t num_before = read_.step_offset.back();
    const std::int64_t num_elements = std::min(actions.num_elements(), observations.num_elements());
    for (std::int64_t i = batch_.offset; i < batch_.offset + num_rows_; ++i) {
      const std::int64_t length = actions.row(i, name_action).size();
      const std::int64_t answers = observations.row(i, name_observation).size();
      if (answers != length) {
        refuse(name_observation(i), " has ", answers, " elements; expected ", length, ", as in ",
               name_action(i));
      }
      const std::int64_t num_steps = read_.step_offset.back() + length;
      if (num_steps > kMaxSteps) refuse(name_action(i), " ends at step ", num_steps);
      if (num_steps - num_before > kMaxUses * num_elements) {
        refuse(name_action(i), " and the rows before hold ", num_steps - num_before,
               " elements of ", num_elements, "; expected at most ", kMaxUses,
               " times as many: the list views overlap");
      }
      read_.step_offset.push_back(num_steps);
    }
  }

  // Rows that follow one another in the child are read at one go, which is all rows of a list
  // and, as a rule, of a list_view.
  void append_column(Field field, const ListArray& lists, Interner& interner,
                     std::vector<std::int32_t>& ids, Watch& watch) {
    const ArrowSchema& schema = *schema_of(field).children[0];
    TextArray texts(schema, *array_of(field).children[0], kColumns[field].name);
    std::size_t next = ids.size();
    ids.resize(static_cast<std::size_t>(read_.step_offset.back()));
    const Namer row_name = rows_of(field);
    for (std::int64_t i = 0; i < num_rows_;) {
      const std::int64_t first = i;
      ListRange run = lists.row(batch_.offset + i++, row_name);
      for (; i < num_rows_; ++i) {
        const ListRange row = lists.row(batch_.offset + i, row_name);
        if (row.begin != run.end) break;
        run.end = row.end;
      }
      const Namer name = [&](std::int64_t element) {
        std::int64_t row = batch_.offset + first;
        while (lists.row(row, row_name).end <= element) ++row;
        const std::int64_t within = element - lists.row(row, row_name).begin;
        return row_name(row) + "[" + std::to_string(within) + "]";
      };
      append_run(run, texts, interner, ids.data() + next, name, watch);
      next += static_cast<std::size_t>(run.size());
    }
  }

  static void append_run(ListRange run, TextArray& texts, Interner& interner, std::int32_t* id,
                         const Namer& name, Watch& watch) {
    while (run.begin < run.end) {
      const std::int64_t end = std::min(run.end, run.begin + kStepsPerCheck);
      texts.intern(run.begin, end, interner, id, name);
      id += end - run.begin;
      run.begin = end;
      watch.check();
    }
  }

  const ArrowSchema& schema_;
  const std::array<std::int64_t, 4>& place_;
  const ArrowArray& batch_;
  std::int64_t num_rows_;
  std::int64_t first_row_;
  TextTrajectories& read_;
  const Execution& execution_;
};

void check_success(int code, ArrowArrayStream& stream) {
  if (code == 0) return;
  const char* message = stream.get_last_error == nullptr ? nullptr : stream.get_last_error(&stream);
  refuse("the Arrow stream failed with code ", code, ": ",
         message == nullptr ? std::strerror(code) : message);
}

}  // namespace

ArrowTrajectoryReader::ArrowTrajectoryReader(const ArrowSchema& schema) : schema_(schema) {
  check_schema(schema, "the table");
  if (std::strcmp(schema.format, "+s") != 0) {
    refuse("the table has Arrow format ", quote_format(schema),
           "; expected a struct of columns (+s)");
  }
  for (std::size_t i = 0; i < kColumns.size(); ++i) place_[i] = find(schema, kColumns[i]);
}

void ArrowTrajectoryReader::append(const ArrowArray& batch, const Execution& execution) {
  Batch(schema_, place_, batch, read_, execution).append();
}

TextTrajectories read_trajectories(ArrowArrayStream& stream, const Execution& execution) {
  ArrowOwner<ArrowSchema> schema;
  check_success(stream.get_schema(&stream, schema.get()), stream);
  ArrowTrajectoryReader reader(*schema);
  while (true) {
    ArrowOwner<ArrowArray> batch;
    check_success(stream.get_next(&stream, batch.get()), stream);
    if (batch.is_released()) break;
    reader.append(*batch, execution);
    if (execution.poll) execution.poll();
  }
  return std::move(reader).finish();
}

}  // namespace w2stree
