// Microbenchmark of the search: bench_search [num_tasks num_trajectories num_steps num_simulations]
//
// Prints ns/simulation, the best of several runs; without arguments over the shapes that
// docs/core.md reports. Trajectories come from a seeded generator, so every run and machine
// measures the same forest.
#include "w2stree/search.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string_view>
#include <vector>

#include "w2stree/forest.hpp"

namespace {

struct Episodes {
  std::vector<std::int32_t> action_id;
  std::vector<std::int32_t> observation_id;
  std::vector<std::int64_t> step_offset = {0};
  std::vector<std::int32_t> tree_id;
  std::vector<double> total_return;

  void end_episode(std::int32_t task, double value) {
    step_offset.push_back(static_cast<std::int64_t>(action_id.size()));
    tree_id.push_back(task);
    total_return.push_back(value);
  }

  void add_step(std::int32_t action, std::int32_t observation) {
    action_id.push_back(action);
    observation_id.push_back(observation);
  }

  w2stree::Forest forest() const {
    return w2stree::build_forest(
        {action_id, observation_id, step_offset, tree_id, total_return, tree_id.back() + 1});
  }
};

// An agent of four actions that takes the first one 85 % of the time: about one node in ten
// branches, as in the paper's trees.
Episodes agent(std::int32_t num_tasks, std::int32_t num_trajectories, std::int32_t num_steps) {
  std::mt19937_64 random(20250718);
  Episodes episodes;
  for (std::int32_t task = 0; task < num_tasks; ++task) {
    for (std::int32_t i = 0; i < num_trajectories; ++i) {
      for (std::int32_t step = 0; step < num_steps; ++step) {
        const bool is_usual = random() % 100 < 85;
        episodes.add_step(is_usual ? 0 : static_cast<std::int32_t>(random() % 4), step);
      }
      episodes.end_episode(task, static_cast<double>(random() % 11) / 10.0);
    }
  }
  return episodes;
}

// One root of many children, returns all different or (num_values) tied.
Episodes star(std::int32_t num_children, std::uint64_t num_values) {
  std::mt19937_64 random(20250718);
  Episodes episodes;
  for (std::int32_t child = 0; child < num_children; ++child) {
    episodes.add_step(child, 0);
    const std::uint64_t value = random() % num_values;
    episodes.end_episode(0, static_cast<double>(value) / static_cast<double>(num_values));
  }
  return episodes;
}

void report(std::string_view name, const w2stree::Forest& forest, std::int64_t num_simulations) {
  double best = 1e300;
  for (int run = 0; run < 9; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const w2stree::SearchResult result =
        w2stree::search(forest, {.num_simulations = num_simulations});
    const std::chrono::duration<double, std::nano> elapsed =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count());
  }
  const double num_items = static_cast<double>(num_simulations) * num_trees(forest);
  std::cout << name << ": " << best / num_items << " ns/simulation (" << num_chains(forest)
            << " chains, " << num_items << " simulations)" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5) {
    const auto argument = [&](int i) { return static_cast<std::int32_t>(std::atoi(argv[i])); };
    report("given", agent(argument(1), argument(2), argument(3)).forest(), argument(4));
    return 0;
  }
  report("2,000 x 7 x 30", agent(2000, 7, 30).forest(), 1000);
  report("1,000 x 50 x 30", agent(1000, 50, 30).forest(), 1000);
  report("100 x 4,000 x 20", agent(100, 4000, 20).forest(), 1000);
  constexpr std::uint64_t all_different = 1ULL << 40;
  report("star 1,024", star(1024, all_different).forest(), 20000);
  report("star 1,024, 11 values", star(1024, 11).forest(), 20000);
  report("star 1,024, tied", star(1024, 1).forest(), 20000);
  report("star 16", star(16, all_different).forest(), 20000);
  report("star 64", star(64, all_different).forest(), 20000);
}
