#include "search/visits.hpp"

#include <algorithm>

namespace w2stree {
namespace {

template <class T, class Field>
Column<T> column(const Forest& forest, const SearchResult& result, bool of_stops, Field field) {
  check_is_of(forest, result);
  std::vector<T> values(at(num_chains(forest)), T{0});
  for (const auto& statistics : result.statistics) {
    for (const ArmStatistics& arm : statistics) {
      for_each_visited(forest, result.options, arm, [&](std::int32_t chain, bool is_stop) {
        if (is_stop == of_stops) values[at(chain)] = arm.*field;
      });
    }
  }
  return values;
}

}  // namespace

void write_value_max(const Forest& forest, const SearchOptions& options, std::int32_t root,
                     const std::vector<ArmStatistics>& statistics, std::span<double> value_max) {
  std::ranges::fill(value_max, -kInfinity);
  const auto raise = [&](std::int32_t chain, double value) {
    double& greatest = value_max[at(chain - root)];
    greatest = std::max(greatest, value);
  };
  for (const ArmStatistics& arm : statistics) {
    for_each_visited(forest, options, arm, [&](std::int32_t chain, bool is_stop) {
      if (is_stop) raise(chain, mean_return_ending_at(forest, chain));
    });
  }
  for (std::size_t i = value_max.size(); i-- > 1;) {  // children before their parents
    raise(forest.chains.parent[at(root) + i], value_max[i]);
  }
}

EarlierStatistics by_chain(const Forest& forest, const SearchOptions& options, std::int32_t root,
                           const std::vector<ArmStatistics>& statistics) {
  const std::size_t size = at(forest.chains.subtree_end[at(root)] - root);
  EarlierStatistics earlier;
  earlier.chain.resize(size);
  earlier.stop.resize(size);
  for (const ArmStatistics& arm : statistics) {
    (arm.is_stop ? earlier.stop : earlier.chain)[at(arm.chain - root)] = arm;
  }
  if (options.backup == Backup::kMax) {
    earlier.value_max.resize(size);
    write_value_max(forest, options, root, statistics, earlier.value_max);
  }
  return earlier;
}

Column<std::int64_t> chain_visit_count(const Forest& forest, const SearchResult& result) {
  return column<std::int64_t>(forest, result, false, &ArmStatistics::visit_count);
}

Column<double> chain_value_sum(const Forest& forest, const SearchResult& result) {
  return column<double>(forest, result, false, &ArmStatistics::value_sum);
}

Column<std::int64_t> chain_stop_visit_count(const Forest& forest, const SearchResult& result) {
  return column<std::int64_t>(forest, result, true, &ArmStatistics::visit_count);
}

Column<double> chain_stop_value_sum(const Forest& forest, const SearchResult& result) {
  return column<double>(forest, result, true, &ArmStatistics::value_sum);
}

Column<double> chain_value_max(const Forest& forest, const SearchResult& result) {
  check_is_of(forest, result);
  std::vector<double> values(at(num_chains(forest)));
  for (std::size_t tree = 0; tree < result.statistics.size(); ++tree) {
    const std::int32_t root = forest.root_chain[tree];
    write_value_max(
        forest, result.options, root, result.statistics[tree],
        std::span(values).subspan(at(root), at(forest.chains.subtree_end[at(root)] - root)));
  }
  return values;
}

}  // namespace w2stree
