#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "w2stree/base/errors.hpp"
#include "w2stree/states/states.hpp"

namespace w2stree {
namespace {

class Values {
 public:
  Values(const StateGraph& graph, StateValue worth)
      : worth_(worth),
        value_(at(num_states(graph)), std::numeric_limits<double>::quiet_NaN()),
        weight_(worth == StateValue::kMean ? value_.size() : 0, 0) {}

  void add(std::int32_t state, double seen, std::int32_t times) {
    double& value = value_[at(state)];
    const bool is_first = std::isnan(value);
    if (worth_ == StateValue::kBest) {
      value = is_first ? seen : std::max(value, seen);
    } else {
      value = (is_first ? 0.0 : value) + seen * times;
      weight_[at(state)] += times;
    }
  }

  Column<double> finish() && {
    for (std::size_t state = 0; state < weight_.size(); ++state) {
      if (weight_[state] > 0) value_[state] /= static_cast<double>(weight_[state]);
    }
    return std::move(value_);
  }

 private:
  StateValue worth_;
  std::vector<double> value_;  // NaN until something is seen
  std::vector<std::int64_t> weight_;
};

void check(const Forest& forest, std::span<const double> score, StateValue worth) {
  const auto count = static_cast<std::size_t>(num_nodes(forest));
  if (score.size() != count) refuse("scores has ", score.size(), " elements; expected ", count);
  const double most = worth == StateValue::kMean ? num_trajectories(forest) : 1.0;
  for (std::size_t node = 0; node < count; ++node) {
    if (std::isnan(score[node]) || std::isfinite(score[node] * most)) continue;
    if (std::isinf(score[node])) {
      refuse("scores[", node, "]=", score[node], "; expected a finite number, or NaN for none");
    }
    refuse("scores[", node, "]=", score[node], " is too large to be added up over ", most,
           " trajectories");
  }
}

}  // namespace

Column<double> state_values(const Forest& forest, const StateGraph& graph, StateValue worth) {
  check_is_of(forest, graph);
  Values values(graph, worth);
  for (std::int32_t chain = 0; chain < num_chains(forest); ++chain) {
    const std::int32_t state = graph.node_state[at(last_node(forest, chain))];
    for (const std::int32_t trajectory : trajectories_ending_at(forest, chain)) {
      values.add(state, forest.total_return[at(trajectory)], 1);
    }
  }
  return std::move(values).finish();
}

Column<double> state_values(const Forest& forest, const StateGraph& graph,
                            std::span<const double> score, StateValue worth) {
  check_is_of(forest, graph);
  check(forest, score, worth);
  Values values(graph, worth);
  for (std::int32_t chain = 0; chain < num_chains(forest); ++chain) {
    for (std::int32_t node = forest.chains.first_node[at(chain)]; node <= last_node(forest, chain);
         ++node) {
      if (std::isnan(score[at(node)])) continue;
      // A root that no trajectory passes counts once: it is all there is to see.
      const std::int32_t times = std::max(forest.chains.num_trajectories[at(chain)], 1);
      values.add(graph.node_state[at(node)], score[at(node)], times);
    }
  }
  return std::move(values).finish();
}

}  // namespace w2stree
