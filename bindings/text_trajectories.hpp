// The core's columns of trajectories and their texts, as Python has them: (ids, texts).
#pragma once

#include <utility>

#include "bind.hpp"
#include "sequences.hpp"
#include "w2stree/text/text_trajectories.hpp"

inline py::tuple to_tuple(w2stree::Interner&& interner) {
  w2stree::Texts texts = std::move(interner).finish();
  return py::make_tuple(wrap(std::move(texts.data)), wrap(std::move(texts.offset)));
}

inline py::tuple to_tuple(w2stree::TextTrajectories&& read) {
  return py::make_tuple(
      py::make_tuple(to_array(std::move(read.action_id)), to_array(std::move(read.observation_id)),
                     to_array(std::move(read.step_offset)), to_array(std::move(read.tree_id)),
                     to_array(std::move(read.total_return))),
      py::make_tuple(to_tuple(std::move(read.task_ids)), to_tuple(std::move(read.actions)),
                     to_tuple(std::move(read.observations))));
}
