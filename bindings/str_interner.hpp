// str objects and their ids, in order of first appearance. Texts are compared by what they say
// and kept as the object that came first: nothing is encoded or copied.
#pragma once

#include <string_view>
#include <vector>

#include "sequences.hpp"
#include "w2stree/text/id_table.hpp"
#include "w2stree/text/interner.hpp"

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
  // Our own hash, not Python's: that one is cached in the object, but most texts are objects of
  // their own, fresh from a file, and pay for it once.
  std::int32_t intern_str(PyObject* text) {
    const std::int32_t num_texts = size();
    const std::int32_t id =
        table_.find_or_add(w2stree::hash_text(bytes_of(text)), [&](std::int32_t candidate) {
          return is_equal(texts_[w2stree::at(candidate)].ptr(), text);
        });
    if (id == num_texts) texts_.push_back(py::reinterpret_borrow<py::object>(text));
    return id;
  }

  // The characters as they lie in memory, 1, 2 or 4 bytes each. Equal texts agree in that: str
  // always takes the narrowest.
  static std::string_view bytes_of(PyObject* text) {
    const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(text)) * PyUnicode_KIND(text);
    return {static_cast<const char*>(PyUnicode_DATA(text)), size};
  }

  static bool is_equal(PyObject* left, PyObject* right) {
    if (left == right) return true;
    return PyUnicode_KIND(left) == PyUnicode_KIND(right) && bytes_of(left) == bytes_of(right);
  }

  w2stree::IdTable table_;
  std::vector<py::object> texts_;
};
