// What the binding files share.
//
//   NumPy array ──span──> core ──column──> Forest (owned by Python)
//                                            ^ base of every read-only array handed out
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "gil.hpp"
#include "w2stree/base/column.hpp"
#include "w2stree/base/errors.hpp"
#include "w2stree/base/execution.hpp"
#include "w2stree/forest/trajectories.hpp"

namespace py = pybind11;

void bind_digest(py::module_& module);
void bind_arrow_export(py::module_& module);
void bind_arrow_import(py::module_& module);
void bind_forest(py::module_& module);
void bind_json_import(py::module_& module);
void bind_growth(py::module_& module);
void bind_forest_file(py::module_& module);
void bind_pairs(py::module_& module);
void bind_pieces(py::module_& module);
void bind_search(py::module_& module);
void bind_states(py::module_& module);
void bind_texts(py::module_& module);
void bind_trajectories(py::module_& module);

// Without forcecast NumPy converts only where no value can change (TypeError otherwise).
template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <class T>
std::span<const T> span(const Array<T>& array, const char* name) {
  if (array.ndim() != 1) w2stree::refuse(name, " has ", array.ndim(), " dimensions; expected 1");
  return {array.data(), static_cast<std::size_t>(array.size())};
}

inline w2stree::TrajectoryColumns columns(const Array<std::int32_t>& action_id,
                                          const Array<std::int32_t>& observation_id,
                                          const Array<std::int64_t>& step_offset,
                                          const Array<std::int32_t>& tree_id,
                                          const Array<double>& total_return,
                                          std::int32_t num_trees) {
  return {span(action_id, "action_id"),       span(observation_id, "observation_id"),
          span(step_offset, "step_offset"),   span(tree_id, "tree_id"),
          span(total_return, "total_return"), num_trees};
}

// The bytes of a buffer, as long as `info` lives.
inline std::span<const std::byte> bytes_of(const py::buffer_info& info) {
  const bool is_plain = info.ndim == 1 && (info.size == 0 || info.strides[0] == info.itemsize);
  if (!is_plain) w2stree::refuse("buffer has gaps or not one dimension; expected plain bytes");
  return {static_cast<const std::byte*>(info.ptr),
          static_cast<std::size_t>(info.size * info.itemsize)};
}

// A read-only array over `values`, which `owner` keeps alive.
template <class T>
py::array_t<T> view(std::span<const T> values, const py::handle& owner) {
  py::array_t<T> array(static_cast<py::ssize_t>(values.size()), values.data(), owner);
  array.attr("setflags")(py::arg("write") = false);
  return array;
}

// A read-only array that keeps its column alive itself.
template <class T>
py::array_t<T> wrap(w2stree::Column<T> column) {
  auto owned = std::make_unique<w2stree::Column<T>>(std::move(column));
  const std::span<const T> values = *owned;
  const py::capsule owner(owned.release(),
                          [](void* p) { delete static_cast<w2stree::Column<T>*>(p); });
  return view(values, owner);
}

// Keeps a Python object alive from C++: let go of anywhere, the GIL held or not.
template <class Object>
std::shared_ptr<const Object> keep(Object object) {
  return {new Object(std::move(object)), [](const Object* kept) {
            const WithGil gil;
            delete kept;
          }};
}

// A column in the memory of an array, which it keeps alive.
template <class T>
w2stree::Column<T> borrow(Array<T> array, const char* name) {
  const std::span<const T> values = span(array, name);
  return {values, keep(std::move(array))};
}

// Makes the Python exception that stands for a C++ one.
template <class Failure>
py::object bind_error(py::module_& module, const char* name, const py::handle& bases,
                      const char* home) {
  static PyObject* type = nullptr;  // as long as the process
  const std::string qualified = std::string(home) + "." + name;
  type = PyErr_NewException(qualified.c_str(), bases.ptr(), nullptr);
  if (type == nullptr) throw py::error_already_set();
  module.attr(name) = py::handle(type);
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const Failure& failure) {
      // Some messages quote bytes from outside: those that are no UTF-8 are shown as \xff.
      const std::string_view text = failure.what();
      const auto message = py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
          text.data(), static_cast<py::ssize_t>(text.size()), "backslashreplace"));
      if (message) PyErr_SetObject(type, message.ptr());
    }
  });
  return py::reinterpret_borrow<py::object>(type);
}

// Lets Ctrl-C end a call that has let go of the GIL. For as long as `no_gil`.
inline w2stree::Execution execution(const WithoutGil& no_gil, std::int32_t num_threads) {
  using Clock = std::chrono::steady_clock;
  return {num_threads, [&no_gil, next = Clock::now() + std::chrono::milliseconds(50)]() mutable {
            if (Clock::now() < next) return;
            next = Clock::now() + std::chrono::milliseconds(50);
            no_gil.with_gil([] {
              if (PyErr_CheckSignals() != 0) throw py::error_already_set();
            });
          }};
}
