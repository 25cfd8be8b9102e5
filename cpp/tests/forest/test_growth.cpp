#include <random>
#include <string>

#include "forest/assembly.hpp"
#include "support/check.hpp"
#include "support/episodes.hpp"
#include "w2stree/forest/growth.hpp"
#include "w2stree/forest/node_columns.hpp"

namespace w2stree::test {
namespace {

bool equal(const Forest& left, const Forest& right) {
  const Chains& a = left.chains;
  const Chains& b = right.chains;
  return left.action_id == right.action_id && left.observation_id == right.observation_id &&
         a.first_node == b.first_node && a.parent == b.parent && a.subtree_end == b.subtree_end &&
         a.depth == b.depth && a.num_actions == b.num_actions &&
         a.num_trajectories == b.num_trajectories && a.num_terminal == b.num_terminal &&
         a.first_trajectory == b.first_trajectory && a.return_sum == b.return_sum &&
         left.root_chain == right.root_chain && left.end_chain == right.end_chain &&
         left.trajectory_order == right.trajectory_order && left.total_return == right.total_return;
}

// Random trajectories over few letters: many shared prefixes, and wide branching at roots.
Episodes random_episodes(std::uint64_t seed, int num_trajectories, int num_trees, int num_letters) {
  std::mt19937_64 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Episodes episodes;
  for (int i = 0; i < num_trajectories; ++i) {
    std::string steps;
    for (int k = below(6); k > 0; --k) {
      steps += static_cast<char>((below(4) == 0 ? 'A' : 'a') + below(num_letters));
    }
    episodes.add(below(num_trees), steps, below(10) / 10.0);
  }
  episodes.num_trees = num_trees;
  return episodes;
}

Episodes part(const Episodes& all, std::size_t begin, std::size_t end) {
  Episodes part;
  const auto steps = [&](const auto& column) {
    return std::vector<std::int32_t>(column.begin() + all.step_offset[begin],
                                     column.begin() + all.step_offset[end]);
  };
  part.action_id = steps(all.action_id);
  part.observation_id = steps(all.observation_id);
  for (std::size_t i = begin; i < end; ++i) {
    part.step_offset.push_back(all.step_offset[i + 1] - all.step_offset[begin]);
    part.tree_id.push_back(all.tree_id[i]);
    part.total_return.push_back(all.total_return[i]);
  }
  part.num_trees = all.num_trees;
  return part;
}

void extends_as_if_built_at_once() {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Episodes all = random_episodes(seed, 60, 5, 20);
    const Forest batch = build_forest(all.columns());
    Forest grown;
    for (std::size_t begin = 0; begin < 60; begin += 12) {
      grown = extend_forest(grown, part(all, begin, begin + 12).columns());
    }
    CHECK(equal(grown, batch));
  }
}

void copies_trees_that_get_nothing_new() {
  Episodes old = random_episodes(1, 40, 3, 3);
  const Forest forest = build_forest(old.columns());
  Episodes none;
  none.num_trees = 4;
  const Forest grown = extend_forest(forest, none.columns());
  CHECK(grown.action_id.size() == forest.action_id.size() + 1);  // the fourth root
  CHECK(grown.trajectory_order == forest.trajectory_order);
}

void does_not_depend_on_threads() {
  const Episodes all = random_episodes(3, 300, 17, 20);
  const Forest one = build_forest(all.columns());
  for (const std::int32_t num_threads : {2, 3, 8}) {
    CHECK(equal(build_forest(all.columns(), {.num_threads = num_threads}), one));
  }
}

void merges_shards_of_different_tasks() {
  const Episodes left = random_episodes(4, 30, 2, 3);
  const Episodes right = random_episodes(5, 30, 3, 3);
  Episodes both = left;
  for (std::size_t i = 0; i < right.tree_id.size(); ++i) {
    for (std::int64_t s = right.step_offset[i]; s < right.step_offset[i + 1]; ++s) {
      both.action_id.push_back(right.action_id[static_cast<std::size_t>(s)]);
      both.observation_id.push_back(right.observation_id[static_cast<std::size_t>(s)]);
    }
    both.step_offset.push_back(static_cast<std::int64_t>(both.action_id.size()));
    both.tree_id.push_back(right.tree_id[i] + 2);
    both.total_return.push_back(right.total_return[i]);
  }
  both.num_trees = 5;
  const Forest a = build_forest(left.columns());
  const Forest b = build_forest(right.columns());
  const Shard shards[] = {{&a, {}, {}}, {&b, {}, {}}};
  for (const std::int32_t num_threads : {1, 2}) {
    CHECK(equal(merge_forests(shards, {.num_threads = num_threads}), build_forest(both.columns())));
  }
}

void renames_ids_of_shards() {
  const Forest forest = build_forest(Episodes().add(0, "aB", 1.0).columns());
  const std::vector<std::int32_t> actions = {7, 8};
  const std::vector<std::int32_t> observations = {5, 4};
  const Shard shard = {&forest, actions, observations};
  const Forest merged = merge_forests({&shard, 1});
  CHECK(merged.action_id == std::vector<std::int32_t>{-1, 7, 8});
  CHECK(merged.observation_id == std::vector<std::int32_t>{-1, 5, 4});
  const Shard short_of_names = {&forest, {actions.data(), 1}, observations};
  CHECK_REFUSED(merge_forests({&short_of_names, 1}), "action_id=1 has no new name: 1 given");
}

void refuses_fewer_trees() {
  const Forest forest = build_forest(random_episodes(1, 9, 3, 3).columns());
  CHECK_REFUSED(extend_forest(forest, Episodes().add(0, "a", 1.0).columns()),
                "num_trees=1; the forest has 3 already");
}

void refuses_more_than_ids_can_count() {
  const Place nearly_full = {.node = static_cast<std::int32_t>(kMaxId) - 5};
  CHECK(place_after(nearly_full, 5, 1, 1).node == kMaxId);
  CHECK_REFUSED(place_after(nearly_full, 6, 1, 1),
                "more than 2147483647 nodes; split the tasks over several forests");
}

// An interrupted call throws what poll throws, whichever thread works.
void stops_when_told_to() {
  struct Stop {};
  const Episodes episodes = random_episodes(1, 2000, 40, 3);
  for (const std::int32_t num_threads : {1, 4}) {
    bool stopped = false;
    try {
      build_forest(episodes.columns(), {.num_threads = num_threads, .poll = [] { throw Stop{}; }});
    } catch (const Stop&) {
      stopped = true;
    }
    CHECK(stopped || num_threads > 1);  // helpers may do all the work before the caller looks
  }
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({extends_as_if_built_at_once, copies_trees_that_get_nothing_new,
              does_not_depend_on_threads, merges_shards_of_different_tasks, renames_ids_of_shards,
              refuses_fewer_trees, refuses_more_than_ids_can_count, stops_when_told_to});
}
