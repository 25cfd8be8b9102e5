// NumPy columns as an Arrow stream of one batch, nothing copied.
//
//   stream ── schema   struct of named columns
//          └─ batch    struct ── column ── holds its NumPy array until it is released
//
// A consumer may move a column out of its batch and release it later than the rest, on any
// thread, so every struct owns what it needs on its own.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bind.hpp"
#include "w2stree/arrow/arrow.hpp"

namespace {

struct NamedArray {
  std::string name;
  py::array array;
};

// Takes the GIL for as long as Python objects are let go of. At interpreter exit they are leaked:
// it is too late for them.
template <class Owner>
void drop_with_gil(Owner* owner) {
  if (Py_IsInitialized() == 0) return;
  const WithGil gil;
  delete owner;
}

const char* format_of(const py::array& array, const std::string& name) {
  if (py::isinstance<py::array_t<std::int32_t>>(array)) return "i";
  if (py::isinstance<py::array_t<std::int64_t>>(array)) return "l";
  if (py::isinstance<py::array_t<double>>(array)) return "g";
  throw py::type_error("column " + name + " has dtype " +
                       py::str(py::handle(array.dtype())).cast<std::string>() +
                       "; expected int32, int64 or float64");
}

// Children of a struct: allocated one by one, released with it unless moved out before.
template <class Struct>
struct Children {
  std::vector<std::unique_ptr<Struct>> owned;
  std::vector<Struct*> pointers;

  Struct& add() {
    owned.push_back(std::make_unique<Struct>());
    pointers.push_back(owned.back().get());
    return *owned.back();
  }

  ~Children() {
    for (Struct* child : pointers) {
      if (child->release != nullptr) child->release(child);
    }
  }
};

struct SchemaOwner {
  std::string name;
  Children<ArrowSchema> children;

  static void release(ArrowSchema* schema) {
    schema->release = nullptr;
    delete static_cast<SchemaOwner*>(schema->private_data);
  }
};

struct ArrayOwner {
  py::array array;  // none for the struct
  const void* buffers[2] = {nullptr, nullptr};
  Children<ArrowArray> children;

  static void release(ArrowArray* array) {
    array->release = nullptr;
    drop_with_gil(static_cast<ArrayOwner*>(array->private_data));
  }
};

void export_schema(const char* format, const std::string& name, ArrowSchema& out,
                   std::unique_ptr<SchemaOwner> owner = std::make_unique<SchemaOwner>()) {
  owner->name = name;
  out = ArrowSchema{};
  out.format = format;  // a literal
  out.name = owner->name.c_str();
  out.n_children = static_cast<std::int64_t>(owner->children.pointers.size());
  out.children = owner->children.pointers.data();
  out.release = &SchemaOwner::release;
  out.private_data = owner.release();
}

void export_array(std::int64_t length, std::int64_t num_buffers, ArrowArray& out,
                  std::unique_ptr<ArrayOwner> owner) {
  out = ArrowArray{};
  out.length = length;
  out.n_buffers = num_buffers;
  out.buffers = owner->buffers;
  out.n_children = static_cast<std::int64_t>(owner->children.pointers.size());
  out.children = owner->children.pointers.data();
  out.release = &ArrayOwner::release;
  out.private_data = owner.release();
}

struct StreamOwner {
  std::vector<NamedArray> columns;
  std::int64_t num_rows = 0;
  bool is_given = false;  // the one batch
  std::string error;

  static StreamOwner& of(ArrowArrayStream* stream) {
    return *static_cast<StreamOwner*>(stream->private_data);
  }

  void give_schema(ArrowSchema& out) const {
    auto owner = std::make_unique<SchemaOwner>();
    for (const NamedArray& column : columns) {
      export_schema(format_of(column.array, column.name), column.name, owner->children.add());
    }
    export_schema("+s", "", out, std::move(owner));
  }

  void give_batch(ArrowArray& out) {
    auto batch = std::make_unique<ArrayOwner>();
    for (const NamedArray& column : columns) {
      auto owner = std::make_unique<ArrayOwner>();
      owner->array = column.array;
      owner->buffers[1] = column.array.data();
      export_array(num_rows, 2, batch->children.add(), std::move(owner));
    }
    export_array(num_rows, 1, out, std::move(batch));
    is_given = true;
  }

  // C callers see no exceptions.
  template <class Give>
  int attempt(const Give& give) {
    const WithGil gil;
    try {
      give();
      return 0;
    } catch (const std::exception& failure) {
      error = failure.what();
      return ENOMEM;
    }
  }

  static int get_schema(ArrowArrayStream* stream, ArrowSchema* out) {
    return of(stream).attempt([&] { of(stream).give_schema(*out); });
  }

  static int get_next(ArrowArrayStream* stream, ArrowArray* out) {
    *out = ArrowArray{};  // released: the end
    if (of(stream).is_given) return 0;
    return of(stream).attempt([&] { of(stream).give_batch(*out); });
  }

  static const char* get_last_error(ArrowArrayStream* stream) {
    return of(stream).error.empty() ? nullptr : of(stream).error.c_str();
  }

  static void release(ArrowArrayStream* stream) {
    stream->release = nullptr;
    drop_with_gil(&of(stream));
  }
};

// Whoever takes the stream out of the capsule sets its release to null.
void destroy_capsule(PyObject* capsule) {
  auto* stream =
      static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule, "arrow_array_stream"));
  if (stream->release != nullptr) stream->release(stream);
  delete stream;
}

py::object export_arrow(const py::dict& columns) {
  auto owner = std::make_unique<StreamOwner>();
  for (const auto& [key, value] : columns) {
    const auto name = key.cast<std::string>();
    const auto array = py::array::ensure(value, py::array::c_style);
    if (!array || array.ndim() != 1) throw py::type_error("column " + name + " is no 1-D array");
    format_of(array, name);
    if (owner->columns.empty()) owner->num_rows = array.size();
    if (array.size() != owner->num_rows) {
      w2stree::refuse("column ", name, " has ", array.size(), " rows; expected ", owner->num_rows);
    }
    owner->columns.push_back({name, array});
  }
  auto stream = std::make_unique<ArrowArrayStream>();
  *stream = {&StreamOwner::get_schema, &StreamOwner::get_next, &StreamOwner::get_last_error,
             &StreamOwner::release, nullptr};
  auto capsule = py::reinterpret_steal<py::object>(
      PyCapsule_New(stream.get(), "arrow_array_stream", &destroy_capsule));
  if (!capsule) throw py::error_already_set();
  stream.release()->private_data = owner.release();
  return capsule;
}

}  // namespace

void bind_arrow_export(py::module_& module) {
  module.def("export_arrow", &export_arrow, py::arg("columns"));
}
