// Arrow structs by hand, for the C++ tests: good ones, to be spoiled one field at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "w2stree/arrow/arrow.hpp"

namespace w2stree::test {

/// One array and its schema with the memory behind them; released by nobody.
struct ArrowColumn {
  ArrowColumn(std::string format, std::string name, std::int64_t length)
      : format(std::move(format)), name(std::move(name)) {
    schema.format = this->format.c_str();
    schema.name = this->name.c_str();
    array.length = length;
  }
  ArrowColumn(const ArrowColumn&) = delete;

  template <class T>
  ArrowColumn& buffer(const std::vector<T>& values) {
    const auto* bytes = reinterpret_cast<const char*>(values.data());
    memory.emplace_back(bytes, bytes + values.size() * sizeof(T));
    pointers.push_back(memory.back().data());
    return finish();
  }
  ArrowColumn& no_buffer() {
    pointers.push_back(nullptr);
    return finish();
  }
  ArrowColumn& child(ArrowColumn& column) {
    schemas.push_back(&column.schema);
    arrays.push_back(&column.array);
    return finish();
  }
  ArrowColumn& dictionary(ArrowColumn& column) {
    schema.dictionary = &column.schema;
    array.dictionary = &column.array;
    return *this;
  }

  ArrowSchema schema{};
  ArrowArray array{};

 private:
  ArrowColumn& finish() {
    array.buffers = pointers.data();
    array.n_buffers = static_cast<std::int64_t>(pointers.size());
    array.children = arrays.data();
    schema.children = schemas.data();
    array.n_children = schema.n_children = static_cast<std::int64_t>(arrays.size());
    return *this;
  }

  std::string format;
  std::string name;
  std::deque<std::vector<char>> memory;
  std::vector<const void*> pointers;
  std::vector<ArrowSchema*> schemas;
  std::vector<ArrowArray*> arrays;
};

inline std::vector<char> bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

/// task_id x y, total_return 1 0, actions [ab, c] [ab], observations [o, o] [p].
struct ArrowTable {
  ArrowTable() {
    task_id.no_buffer().buffer<std::int32_t>({0, 1, 2}).buffer(bytes("xy"));
    total_return.no_buffer().buffer<double>({1.0, 0.0});
    action.no_buffer().buffer<std::int64_t>({0, 2, 3, 5}).buffer(bytes("abcab"));
    actions.no_buffer().buffer<std::int64_t>({0, 2, 3}).child(action);
    observation.no_buffer().buffer<std::int32_t>({0, 1, 2, 3}).buffer(bytes("oop"));
    observations.no_buffer().buffer<std::int32_t>({0, 2, 3}).child(observation);
    table.no_buffer().child(task_id).child(total_return).child(actions).child(observations);
  }

  ArrowColumn task_id{"u", "task_id", 2};
  ArrowColumn total_return{"g", "total_return", 2};
  ArrowColumn action{"U", "item", 3};
  ArrowColumn actions{"+L", "actions", 2};
  ArrowColumn observation{"u", "item", 3};
  ArrowColumn observations{"+l", "observations", 2};
  ArrowColumn table{"+s", "", 2};
};

}  // namespace w2stree::test
