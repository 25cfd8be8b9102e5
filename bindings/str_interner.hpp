// str objects and their ids, in order of first appearance. Texts are compared by what they say
// and kept as the object that came first: nothing is encoded or copied.
#pragma once

#include <cstring>
#include <vector>

#include "sequences.hpp"

class StrInterner {
 public:
  std::int32_t size() const { return table_.size(); }

  // `name` is called for a TypeError when `object` is not a str.
  template <class Name>
  std::int32_t intern(PyObject* object, const Name& name) {
    if (PyUnicode_CheckExact(object)) return intern_str(object);
    if (!PyUnicode_Check(object)) {
      raise_type_error(name(), " is ", type_name(object), "; expected str");
    }
    // A subclass (np.str_) may hash and compare as it likes: its plain text counts.
    const auto plain = py::reinterpret_steal<py::object>(PyUnicode_FromObject(object));
    if (!plain) throw py::error_already_set();
    return intern_str(plain.ptr());
  }

  py::tuple texts() const {
    py::tuple texts(texts_.size());
    for (std::size_t i = 0; i < texts_.size(); ++i) texts[i] = texts_[i];
    return texts;
  }

 private:
  std::int32_t intern_str(PyObject* text) {
    const auto hash = static_cast<std::uint64_t>(PyObject_Hash(text));  // cached in the object
    const std::int32_t num_texts = size();
    const std::int32_t id = table_.find_or_add(hash, [&](std::int32_t candidate) {
      return is_equal(texts_[w2stree::at(candidate)].ptr(), text);
    });
    if (id == num_texts) texts_.push_back(py::reinterpret_borrow<py::object>(text));
    return id;
  }

  // Equal texts are of one kind: str always takes the narrowest.
  static bool is_equal(PyObject* left, PyObject* right) {
    if (left == right) return true;
    const Py_ssize_t length = PyUnicode_GET_LENGTH(left);
    const auto kind = PyUnicode_KIND(left);
    if (length != PyUnicode_GET_LENGTH(right) || kind != PyUnicode_KIND(right)) return false;
    return std::memcmp(PyUnicode_DATA(left), PyUnicode_DATA(right),
                       static_cast<std::size_t>(length) * kind) == 0;
  }

  w2stree::IdTable table_;
  std::vector<py::object> texts_;
};
