// Microbenchmarks of the core alone, no Python: `make cpp-bench` (Google Benchmark).
//
//   bench_core --benchmark_filter=search --benchmark_repetitions=5
//
// Arguments of a case are tasks / trajectories a task / steps a trajectory (and simulations a
// tree). items_per_second counts steps, pairs, simulations or nodes; time_per_item is their
// inverse. Trajectories come from a seeded generator, so every run and machine measures the same
// forest.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "w2stree/forest/forest.hpp"
#include "w2stree/pairs/pairs.hpp"
#include "w2stree/search/search.hpp"
#include "w2stree/states/state_paths.hpp"
#include "w2stree/states/states.hpp"

namespace {

struct Episodes {
  std::vector<std::int32_t> action_id;
  std::vector<std::int32_t> observation_id;
  std::vector<std::int64_t> step_offset = {0};
  std::vector<std::int32_t> tree_id;
  std::vector<double> total_return;

  void add_step(std::int32_t action, std::int32_t observation) {
    action_id.push_back(action);
    observation_id.push_back(observation);
  }

  void end_episode(std::int32_t task, double value) {
    step_offset.push_back(static_cast<std::int64_t>(action_id.size()));
    tree_id.push_back(task);
    total_return.push_back(value);
  }

  w2stree::TrajectoryColumns columns() const {
    return {action_id, observation_id, step_offset, tree_id, total_return, tree_id.back() + 1};
  }
};

// An agent of four actions that takes the first one 85 % of the time: about one node in ten
// branches, as in the paper's trees.
Episodes agent(const benchmark::State& state) {
  std::mt19937_64 random(20250718);
  Episodes episodes;
  for (std::int32_t task = 0; task < state.range(0); ++task) {
    for (std::int64_t i = 0; i < state.range(1); ++i) {
      for (std::int32_t step = 0; step < state.range(2); ++step) {
        const bool is_usual = random() % 100 < 85;
        episodes.add_step(is_usual ? 0 : static_cast<std::int32_t>(random() % 4), step);
      }
      episodes.end_episode(task, static_cast<double>(random() % 11) / 10.0);
    }
  }
  return episodes;
}

// One root with as many children as asked for, all of different returns.
Episodes star(std::int64_t fan_out) {
  Episodes episodes;
  for (std::int32_t child = 0; child < fan_out; ++child) {
    episodes.add_step(child, 0);
    const std::int64_t shuffled = child * std::int64_t{7919} % fan_out;
    episodes.end_episode(0, static_cast<double>(shuffled) / static_cast<double>(fan_out));
  }
  return episodes;
}

// Items of one iteration, in all and the time of one.
void count_items(benchmark::State& state, std::int64_t items) {
  const auto total = static_cast<double>(items) * static_cast<double>(state.iterations());
  state.SetItemsProcessed(items * static_cast<std::int64_t>(state.iterations()));
  state.counters["time_per_item"] =
      benchmark::Counter(total, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void build(benchmark::State& state) {
  const Episodes episodes = agent(state);
  const w2stree::TrajectoryColumns columns = episodes.columns();
  for (auto _ : state) benchmark::DoNotOptimize(w2stree::build_forest(columns));
  count_items(state, static_cast<std::int64_t>(episodes.action_id.size()));
}

void count_pairs(benchmark::State& state) {
  const w2stree::Forest forest = w2stree::build_forest(agent(state).columns());
  std::int64_t num_pairs = 0;
  for (auto _ : state) {
    const auto count = w2stree::count_pairs(forest, {});
    num_pairs = std::reduce(count.begin(), count.end());
  }
  count_items(state, num_pairs);
}

void enumerate_pairs(benchmark::State& state) {
  const w2stree::Forest forest = w2stree::build_forest(agent(state).columns());
  std::int64_t num_pairs = 0;
  for (auto _ : state) {
    const w2stree::Pairs pairs = w2stree::enumerate_pairs(forest, {});
    num_pairs = static_cast<std::int64_t>(pairs.chosen.size());
  }
  count_items(state, num_pairs);
}

void search(benchmark::State& state) {
  const w2stree::Forest forest = w2stree::build_forest(agent(state).columns());
  const w2stree::SearchOptions options{.num_simulations = state.range(3)};
  for (auto _ : state) benchmark::DoNotOptimize(w2stree::search(forest, options));
  count_items(state, state.range(0) * state.range(3));
}

void search_star(benchmark::State& state) {
  const w2stree::Forest forest = w2stree::build_forest(star(state.range(0)).columns());
  const w2stree::SearchOptions options{.num_simulations = state.range(1)};
  for (auto _ : state) benchmark::DoNotOptimize(w2stree::search(forest, options));
  count_items(state, state.range(1));
}

// Runs that come by the same states again: a state for every depth and the last action.
std::vector<std::int32_t> keys(const w2stree::Forest& forest) {
  std::vector<std::int32_t> key;
  for (std::size_t node = 0; node < forest.action_id.size(); ++node) {
    key.push_back(forest.action_id[node] == w2stree::kNone
                      ? w2stree::kNone
                      : forest.observation_id[node] * 4 + forest.action_id[node]);
  }
  return key;
}

void build_states(benchmark::State& state) {
  const w2stree::Forest forest = w2stree::build_forest(agent(state).columns());
  const std::vector<std::int32_t> key = keys(forest);
  for (auto _ : state) benchmark::DoNotOptimize(w2stree::build_state_graph(forest, key));
  count_items(state, w2stree::num_nodes(forest));
}

void best_paths(benchmark::State& state) {
  const w2stree::Forest forest = w2stree::build_forest(agent(state).columns());
  const w2stree::StateGraph graph = w2stree::build_state_graph(forest, keys(forest));
  const auto value = w2stree::state_values(forest, graph, w2stree::StateValue::kBest);
  const auto roots =
      std::span<const std::int32_t>(graph.first_state).first(graph.first_state.size() - 1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(w2stree::best_paths(forest, graph, value, {roots, {}}));
  }
  count_items(state, w2stree::num_nodes(forest));
}

// The paper's setting, many samples a task, and one with trees beyond the second-level cache.
BENCHMARK(build)
    ->Args({2'000, 7, 15})
    ->Args({1'000, 50, 15})
    ->Args({10, 4'000, 30})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(count_pairs)
    ->Args({2'000, 7, 15})
    ->Args({1'000, 50, 15})
    ->Args({10, 4'000, 30})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(enumerate_pairs)
    ->Args({2'000, 7, 15})
    ->Args({1'000, 50, 15})
    ->Args({1, 4'000, 30})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(build_states)
    ->Args({2'000, 7, 15})
    ->Args({1'000, 50, 15})
    ->Args({10, 4'000, 30})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(best_paths)
    ->Args({2'000, 7, 15})
    ->Args({1'000, 50, 15})
    ->Args({10, 4'000, 30})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(search)
    ->Args({2'000, 7, 15, 1'000})
    ->Args({200, 50, 15, 1'000})
    ->Args({10, 4'000, 30, 1'000})
    ->Args({10, 4'000, 30, 10'000})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(search_star)
    ->Args({32, 20'000})
    ->Args({128, 20'000})
    ->Args({1'024, 20'000})
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
