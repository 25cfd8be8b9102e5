// Python sequences walked by the C API, and errors that name the place.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "bind.hpp"
#include "w2stree/text/id_table.hpp"

template <class... Parts>
[[noreturn]] void raise_type_error(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw py::type_error(message.str());
}

inline const char* type_name(py::handle object) {
  return Py_TYPE(object.ptr())->tp_name;
}

// A list or tuple as it is; anything else that can be iterated over, except text, as a list.
//
// Elements are borrowed from a list that any Python code may change: size() and [] look again at
// every call, and a reference must be taken before such code runs.
class Items {
 public:
  template <class Name>
  Items(py::handle object, const char* expected, const Name& name) {
    const bool is_text = PyUnicode_Check(object.ptr()) || PyBytes_Check(object.ptr());
    if (!is_text) {
      items_ = py::reinterpret_steal<py::object>(
          unless_finalizing([&] { return PySequence_Fast(object.ptr(), ""); }));
    }
    if (items_) return;
    if (!is_text && !PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
    PyErr_Clear();
    raise_type_error(name(), " is ", type_name(object), "; expected ", expected);
  }

  std::size_t size() const {
    return static_cast<std::size_t>(PySequence_Fast_GET_SIZE(items_.ptr()));
  }
  PyObject* operator[](std::size_t i) const { return PySequence_Fast_ITEMS(items_.ptr())[i]; }

  // Fetches an object that will be looked at soon: each lies somewhere else in memory.
  void prefetch(std::size_t i) const {
    if (i < size()) w2stree::prefetch((*this)[i]);
  }

 private:
  py::object items_;
};

// A finite or infinite float; `name` is called for a TypeError.
template <class Name>
double to_double(py::handle number, const Name& name) {
  const double value = unless_finalizing([&] { return PyFloat_AsDouble(number.ptr()); });
  if (value == -1.0 && PyErr_Occurred() != nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
    PyErr_Clear();
    raise_type_error(name(), " is ", type_name(number), "; expected a number");
  }
  return value;
}

// Lets Ctrl-C end a walk that holds the GIL.
class Interrupts {
 public:
  void count_step() {
    if (++num_steps_ % 8192 == 0 && PyErr_CheckSignals() != 0) throw py::error_already_set();
  }

 private:
  std::uint32_t num_steps_ = 0;
};

// A NumPy array that takes the memory over.
template <class T>
py::array_t<T> to_array(std::vector<T>&& values) {
  return wrap(w2stree::Column<T>(std::move(values)));
}
