// Trajectory objects (w2stree/trajectories/trajectory.py) as columns of ids.
#include <cmath>
#include <string>
#include <vector>

#include "sequences.hpp"
#include "str_interner.hpp"
#include "w2stree/base/errors.hpp"

// Where a slot lies in its object; public C API since Python 3.12, in this header before.
#include <structmember.h>

namespace {

constexpr std::size_t kAhead = 4;  // how far ahead objects are fetched

// Reads one attribute of many objects of one class: straight from its slot where the class has
// one and the object is of this very class, by getattr otherwise.
class Attribute {
 public:
  Attribute(py::handle type, const char* name)
      : type_(reinterpret_cast<PyTypeObject*>(type.ptr())),
        name_(py::reinterpret_steal<py::object>(PyUnicode_InternFromString(name))) {
    const py::object member = py::getattr(type, name, py::none());
    if (Py_TYPE(member.ptr()) != &PyMemberDescr_Type) return;
    const PyMemberDef* slot = reinterpret_cast<PyMemberDescrObject*>(member.ptr())->d_member;
    if (slot->type == T_OBJECT_EX) offset_ = slot->offset;
  }

  py::object operator()(PyObject* object) const {
    if (PyObject* value = in_slot(object)) return py::reinterpret_borrow<py::object>(value);
    auto value = py::reinterpret_steal<py::object>(
        unless_finalizing([&] { return PyObject_GetAttr(object, name_.ptr()); }));
    if (!value) throw py::error_already_set();
    return value;
  }

  void prefetch(PyObject* object) const {
    if (PyObject* value = in_slot(object)) w2stree::prefetch(value);
  }

 private:
  PyObject* in_slot(PyObject* object) const {
    if (offset_ == 0 || Py_TYPE(object) != type_) return nullptr;
    return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object) + offset_);
  }

  PyTypeObject* type_;
  py::object name_;
  Py_ssize_t offset_ = 0;  // an object begins with its header, never with a slot
};

bool is_instance(PyObject* object, py::handle type) {
  if (Py_TYPE(object) == reinterpret_cast<PyTypeObject*>(type.ptr())) return true;
  const int is = PyObject_IsInstance(object, type.ptr());
  if (is < 0) throw py::error_already_set();
  return is != 0;
}

std::string place(std::size_t record) {
  return "trajectories[" + std::to_string(record) + "]";
}

class TrajectoryReader {
 public:
  TrajectoryReader(py::handle trajectory_type, py::handle step_type, py::object other_opening)
      : trajectory_type_(trajectory_type),
        step_type_(step_type),
        other_opening_(std::move(other_opening)),
        task_id_(trajectory_type, "task_id"),
        prompt_(trajectory_type, "prompt"),
        steps_(trajectory_type, "steps"),
        total_return_(trajectory_type, "total_return"),
        status_(trajectory_type, "status"),
        action_(step_type, "action"),
        observation_(step_type, "observation") {}

  void append(std::size_t record, const py::object& trajectory) {
    if (!is_instance(trajectory.ptr(), trajectory_type_)) {
      raise_type_error(place(record), " is ", type_name(trajectory),
                       "; expected Trajectory (read files with read_trajectories)");
    }
    if (is_error(trajectory)) {
      ++num_errors_;
      return;
    }
    append_return(record, trajectory);
    append_task(record, trajectory);
    append_steps(record, trajectory);
    kept_.append(trajectory);
    interrupts_.count_step();
  }

  py::tuple finish() && {
    return py::make_tuple(
        py::tuple(kept_), num_errors_,
        py::make_tuple(to_array(std::move(action_id_)), to_array(std::move(observation_id_)),
                       to_array(std::move(step_offset_)), to_array(std::move(tree_id_)),
                       to_array(std::move(returns_))),
        py::make_tuple(task_ids_.texts(), action_texts_.texts(), observation_texts_.texts()));
  }

 private:
  struct Task {
    std::size_t first_record;
    py::object prompt;
  };

  bool is_error(const py::object& trajectory) const {
    const py::object status = status_(trajectory.ptr());
    return PyUnicode_Check(status.ptr()) &&
           PyUnicode_CompareWithASCIIString(status.ptr(), "error") == 0;
  }

  void append_return(std::size_t record, const py::object& trajectory) {
    const py::object given = total_return_(trajectory.ptr());
    const double value = to_double(given, [&] { return place(record) + ": total_return"; });
    if (!std::isfinite(value)) {
      w2stree::refuse(place(record), ": total_return is ", py::repr(given).cast<std::string>(),
                      "; expected a finite number");
    }
    returns_.push_back(value);
  }

  void append_task(std::size_t record, const py::object& trajectory) {
    const py::object task_id = task_id_(trajectory.ptr());
    py::object prompt = prompt_(trajectory.ptr());
    const std::int32_t tree =
        task_ids_.intern(task_id.ptr(), [&] { return place(record) + ": task_id"; });
    tree_id_.push_back(tree);
    if (w2stree::at(tree) == tasks_.size()) {
      tasks_.push_back({record, std::move(prompt)});
    } else if (const Task& task = tasks_[w2stree::at(tree)];
               !other_opening_.is_none() && !is_equal(prompt, task.prompt)) {
      other_opening_(task_id, place(task.first_record), task.prompt, place(record), prompt);
    }
  }

  void append_steps(std::size_t record, const py::object& trajectory) {
    const py::object held = steps_(trajectory.ptr());
    const Items steps(held, "a sequence of Step", [&] { return place(record) + ".steps"; });
    for (std::size_t i = 0; i < steps.size(); ++i) {
      prefetch(steps, i);
      const auto step = py::reinterpret_borrow<py::object>(steps[i]);
      const auto name = [&] { return place(record) + ".steps[" + std::to_string(i) + "]"; };
      if (!is_instance(step.ptr(), step_type_)) {
        raise_type_error(name(), " is ", type_name(step), "; expected Step");
      }
      action_id_.push_back(
          action_texts_.intern(action_(step.ptr()).ptr(), [&] { return name() + ".action"; }));
      observation_id_.push_back(observation_texts_.intern(observation_(step.ptr()).ptr(),
                                                          [&] { return name() + ".observation"; }));
      interrupts_.count_step();
    }
    step_offset_.push_back(static_cast<std::int64_t>(action_id_.size()));
  }

  // Steps lie anywhere in memory, and so do their texts: each is fetched when the one before it
  // on the way there has arrived.
  void prefetch(const Items& steps, std::size_t i) const {
    steps.prefetch(i + 2 * kAhead);
    if (i + kAhead >= steps.size()) return;
    action_.prefetch(steps[i + kAhead]);
    observation_.prefetch(steps[i + kAhead]);
  }

  static bool is_equal(const py::object& left, const py::object& right) {
    const int answer =
        unless_finalizing([&] { return PyObject_RichCompareBool(left.ptr(), right.ptr(), Py_EQ); });
    if (answer < 0) throw py::error_already_set();
    return answer == 1;
  }

  py::handle trajectory_type_;
  py::handle step_type_;
  py::object other_opening_;  // called where a task's runs open differently, unless None
  Attribute task_id_;
  Attribute prompt_;
  Attribute steps_;
  Attribute total_return_;
  Attribute status_;
  Attribute action_;
  Attribute observation_;
  Interrupts interrupts_;

  py::list kept_;
  std::int64_t num_errors_ = 0;
  std::vector<Task> tasks_;
  StrInterner task_ids_;
  StrInterner action_texts_;
  StrInterner observation_texts_;
  std::vector<std::int32_t> action_id_;
  std::vector<std::int32_t> observation_id_;
  std::vector<std::int64_t> step_offset_{0};
  std::vector<std::int32_t> tree_id_;
  std::vector<double> returns_;
};

// Iterates without making a list of all: trajectories may come from a generator.
py::tuple intern_trajectories(const py::iterable& trajectories, const py::type& trajectory_type,
                              const py::type& step_type, py::object other_opening) {
  TrajectoryReader reader(trajectory_type, step_type, std::move(other_opening));
  const auto iterator = py::reinterpret_steal<py::object>(
      unless_finalizing([&] { return PyObject_GetIter(trajectories.ptr()); }));
  if (!iterator) throw py::error_already_set();
  for (std::size_t record = 0;; ++record) {
    const auto trajectory = py::reinterpret_steal<py::object>(
        unless_finalizing([&] { return PyIter_Next(iterator.ptr()); }));
    if (!trajectory && PyErr_Occurred() != nullptr) throw py::error_already_set();
    if (!trajectory) return std::move(reader).finish();
    reader.append(record, trajectory);
  }
}

}  // namespace

void bind_trajectories(py::module_& module) {
  module.def("intern_trajectories", &intern_trajectories, py::arg("trajectories"),
             py::arg("trajectory_type"), py::arg("step_type"), py::arg("other_opening"));
}
