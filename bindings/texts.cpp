// Trajectories as lists of texts.
//
//   task_id        ["x", "y"]
//   actions        [["go", "take"], []]            one inner list a trajectory
//   observations   [["Ok.", "Taken."], []]
//   total_return   [1.0, 0.0]
#include <string>
#include <vector>

#include "sequences.hpp"
#include "str_interner.hpp"
#include "w2stree/base/errors.hpp"

namespace {

std::string element(const char* column, std::size_t i) {
  return column + ("[" + std::to_string(i) + "]");
}

void check_size(const char* name, const Items& items, std::size_t expected) {
  if (items.size() != expected) {
    w2stree::refuse(name, " has ", items.size(), " elements; expected ", expected,
                    ", as in task_id");
  }
}

// One column of inner lists, all into one column of ids.
class StepTexts {
 public:
  StepTexts(const char* name, py::handle column)
      : name_(name),
        trajectories_(column, "a sequence of sequences of str", [&] { return name; }) {}

  const Items& trajectories() const { return trajectories_; }

  // Returns how many steps trajectory i has.
  std::size_t append(std::size_t i, Interrupts& interrupts) {
    if (i >= trajectories_.size()) w2stree::refuse(name_, " shrank while it was read");
    const auto held = py::reinterpret_borrow<py::object>(trajectories_[i]);
    const Items steps(held, "a sequence of str", [&] { return element(name_, i); });
    const std::size_t before = id_.size();
    for (std::size_t j = 0; j < steps.size(); ++j) {
      id_.push_back(texts_.intern(steps[j], [&] { return element(name_, i) + element("", j); }));
      interrupts.count_step();
    }
    return id_.size() - before;
  }

  py::array_t<std::int32_t> id() { return to_array(std::move(id_)); }
  py::tuple texts() const { return texts_.texts(); }

 private:
  const char* name_;
  Items trajectories_;
  StrInterner texts_;
  std::vector<std::int32_t> id_;
};

py::tuple intern_texts(py::handle task_id, py::handle actions, py::handle observations,
                       py::handle total_return) {
  const Items tasks(task_id, "a sequence of str", [] { return "task_id"; });
  const Items returns(total_return, "a sequence of float", [] { return "total_return"; });
  StepTexts action("actions", actions);
  StepTexts observation("observations", observations);
  const std::size_t size = tasks.size();
  check_size("actions", action.trajectories(), size);
  check_size("observations", observation.trajectories(), size);
  check_size("total_return", returns, size);

  StrInterner task_ids;
  std::vector<std::int32_t> tree_id;
  std::vector<double> kept_return;
  std::vector<std::int64_t> step_offset{0};
  Interrupts interrupts;
  for (std::size_t i = 0; i < size; ++i) {
    if (i >= tasks.size() || i >= returns.size()) w2stree::refuse("task_id shrank while read");
    tree_id.push_back(task_ids.intern(tasks[i], [&] { return element("task_id", i); }));
    const auto value = py::reinterpret_borrow<py::object>(returns[i]);
    kept_return.push_back(to_double(value, [&] { return element("total_return", i); }));
    const std::size_t num_steps = action.append(i, interrupts);
    const std::size_t num_answers = observation.append(i, interrupts);
    if (num_answers != num_steps) {
      w2stree::refuse(element("observations", i), " has ", num_answers, " elements; expected ",
                      num_steps, ", as in ", element("actions", i));
    }
    step_offset.push_back(step_offset.back() + static_cast<std::int64_t>(num_steps));
  }
  return py::make_tuple(
      py::make_tuple(action.id(), observation.id(), to_array(std::move(step_offset)),
                     to_array(std::move(tree_id)), to_array(std::move(kept_return))),
      py::make_tuple(task_ids.texts(), action.texts(), observation.texts()));
}

}  // namespace

void bind_texts(py::module_& module) {
  module.def("intern_texts", &intern_texts, py::arg("task_id"), py::arg("actions"),
             py::arg("observations"), py::arg("total_return"));
}
