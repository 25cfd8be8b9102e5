// What must hold of whatever was read, and of the forest that was built of it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "input.hpp"
#include "w2stree/arrow/arrow_trajectories.hpp"
#include "w2stree/base/errors.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/forest/node_columns.hpp"

namespace w2stree {

// What `make` returns, or nothing and why.
template <class Make>
auto attempt(const Make& make, std::string& why) -> std::optional<decltype(make())> {
  try {
    return make();
  } catch (const InvalidInput& error) {
    why = error.what();
    expect(!why.empty(), "refused without a word");
    return std::nullopt;
  }
}

inline void check_texts(const Interner& texts, const std::vector<std::int32_t>& id) {
  std::int32_t num_seen = 0;
  for (const std::int32_t one : id) {
    expect(one >= 0 && one <= num_seen, "ids in order of first appearance");
    num_seen += one == num_seen;
  }
  expect(num_seen == texts.size(), "as many ids as texts");
  std::set<std::string_view> distinct;
  for (std::int32_t i = 0; i < texts.size(); ++i) {
    expect(is_utf8(texts.text(i)), "text that is not UTF-8");
    expect(distinct.insert(texts.text(i)).second, "a text with two ids");
  }
}

inline void check_read(const TextTrajectories& read) {
  expect(read.step_offset.size() == read.tree_id.size() + 1, "a step_offset by trajectory");
  expect(read.total_return.size() == read.tree_id.size(), "a return by trajectory");
  expect(read.step_offset.front() == 0 && std::ranges::is_sorted(read.step_offset), "step_offset");
  expect(read.action_id.size() == static_cast<std::size_t>(read.step_offset.back()), "steps");
  expect(read.observation_id.size() == read.action_id.size(), "an observation by action");
  check_texts(read.task_ids, read.tree_id);
  check_texts(read.actions, read.action_id);
  check_texts(read.observations, read.observation_id);
}

inline void check_same(const TextTrajectories& left, const TextTrajectories& right) {
  const auto bits = [](const std::vector<double>& values) {
    return std::string_view(reinterpret_cast<const char*>(values.data()), 8 * values.size());
  };
  expect(left.action_id == right.action_id, "action_id");
  expect(left.observation_id == right.observation_id, "observation_id");
  expect(left.step_offset == right.step_offset, "step_offset");
  expect(left.tree_id == right.tree_id, "tree_id");
  expect(bits(left.total_return) == bits(right.total_return), "total_return");
}

// Walks every trajectory up from its end: steps agree, and no node has two equal children.
inline void check_paths(const TrajectoryColumns& columns, const Forest& forest) {
  const Column<std::int32_t> parent = node_parent(forest);
  const Column<std::int32_t> end = end_node(forest);
  const Column<std::int32_t> root = root_node(forest);
  std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, std::int32_t> node_of;
  for (std::size_t i = 0; i < columns.tree_id.size(); ++i) {
    std::int32_t node = end[i];
    for (auto s = static_cast<std::size_t>(columns.step_offset[i + 1]);
         s-- > static_cast<std::size_t>(columns.step_offset[i]); node = parent[at(node)]) {
      expect(parent[at(node)] != kNone, "too few steps");
      const auto& [step, known] =
          *node_of
               .insert({{parent[at(node)], columns.action_id[s], columns.observation_id[s]}, node})
               .first;
      expect(known == node, "equal siblings");
      expect(forest.action_id[at(node)] == columns.action_id[s], "another action");
      expect(forest.observation_id[at(node)] == columns.observation_id[s], "another observation");
    }
    expect(node == root[at(columns.tree_id[i])], "another tree, or too many steps");
  }
  expect(node_of.size() + root.size() == at(num_nodes(forest)), "nodes that nobody passes");
}

inline bool is_valid(const TrajectoryColumns& columns) {
  const auto& offset = columns.step_offset;
  const auto is_negative = [](std::int32_t id) { return id < 0; };
  const auto is_tree = [&](std::int32_t id) { return id >= 0 && id < columns.num_trees; };
  return columns.num_trees >= 0 && columns.action_id.size() == columns.observation_id.size() &&
         offset.size() == columns.tree_id.size() + 1 &&
         columns.total_return.size() == columns.tree_id.size() &&
         std::ranges::none_of(columns.action_id, is_negative) &&
         std::ranges::none_of(columns.observation_id, is_negative) && offset.front() == 0 &&
         std::ranges::is_sorted(offset) &&
         static_cast<std::size_t>(offset.back()) == columns.action_id.size() &&
         std::ranges::all_of(columns.tree_id, is_tree) &&
         std::ranges::all_of(columns.total_return, [](double x) { return std::isfinite(x); });
}

inline void check_forest(const TrajectoryColumns& columns) {
  std::string why;
  const auto forest = attempt([&] { return build_forest(columns); }, why);
  expect(forest.has_value() == is_valid(columns), "refused good columns, or took bad ones");
  if (!forest) return;
  expect(num_trees(*forest) == columns.num_trees, "trees");
  expect(at(num_trajectories(*forest)) == columns.tree_id.size(), "trajectories");
  expect(std::ranges::equal(forest->total_return, columns.total_return), "returns");
  check_paths(columns, *forest);
}

}  // namespace w2stree
