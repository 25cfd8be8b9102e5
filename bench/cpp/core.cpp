// Microbenchmarks of the core: bench_core [num_tasks] [num_trajectories per task] [num_steps]
//
// Prints ns/step of the build, ns/pair of the enumeration and ns/simulation of the search, the
// best of several runs each. Trajectories come from a seeded generator, so every run and machine
// measures the same forest.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string_view>
#include <vector>

#include "w2stree/forest.hpp"
#include "w2stree/pairs.hpp"
#include "w2stree/search.hpp"

namespace {

struct Episodes {
  std::vector<std::int32_t> action_id;
  std::vector<std::int32_t> observation_id;
  std::vector<std::int64_t> step_offset = {0};
  std::vector<std::int32_t> tree_id;
  std::vector<double> total_return;
};

// An agent of four actions that takes the first one 85 % of the time: about one node in ten
// branches, as in the paper's trees.
Episodes generate(std::int32_t num_tasks, std::int32_t num_trajectories, std::int32_t num_steps) {
  std::mt19937_64 random(20250718);
  Episodes episodes;
  for (std::int32_t task = 0; task < num_tasks; ++task) {
    for (std::int32_t i = 0; i < num_trajectories; ++i) {
      for (std::int32_t step = 0; step < num_steps; ++step) {
        const bool is_usual = random() % 100 < 85;
        episodes.action_id.push_back(is_usual ? 0 : static_cast<std::int32_t>(random() % 4));
        episodes.observation_id.push_back(step);
      }
      episodes.step_offset.push_back(static_cast<std::int64_t>(episodes.action_id.size()));
      episodes.tree_id.push_back(task);
      episodes.total_return.push_back(static_cast<double>(random() % 11) / 10.0);
    }
  }
  return episodes;
}

// Prints the best time of seven runs, by item.
template <class Work>
void report(std::string_view name, double num_items, Work work) {
  double best = 1e300;
  for (int run = 0; run < 7; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::nano> elapsed =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count());
  }
  std::cout << name << ": " << best / num_items << " ns (" << num_items << " items)\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::int32_t num_tasks = argc > 1 ? std::atoi(argv[1]) : 1000;
  const std::int32_t num_trajectories = argc > 2 ? std::atoi(argv[2]) : 6;
  const std::int32_t num_steps = argc > 3 ? std::atoi(argv[3]) : 20;
  constexpr std::int64_t num_simulations = 1000;

  const Episodes episodes = generate(num_tasks, num_trajectories, num_steps);
  const w2stree::TrajectoryColumns columns{episodes.action_id,    episodes.observation_id,
                                           episodes.step_offset,  episodes.tree_id,
                                           episodes.total_return, num_tasks};
  const w2stree::Forest forest = w2stree::build_forest(columns);
  std::cout << num_nodes(forest) << " nodes\n";
  report("build, step", static_cast<double>(episodes.action_id.size()),
         [&] { w2stree::build_forest(columns); });
  report("pairs, pair", static_cast<double>(enumerate_pairs(forest, {}).chosen.size()),
         [&] { w2stree::enumerate_pairs(forest, {}); });
  report("search, simulation", static_cast<double>(num_simulations) * num_tasks,
         [&] { w2stree::search(forest, {.num_simulations = num_simulations}); });
}
