// The search of one tree: descents, then its best paths.
#pragma once

#include <cstdint>
#include <vector>

#include "base/parallel.hpp"
#include "search/arms.hpp"
#include "search/decision.hpp"
#include "search/ucb.hpp"
#include "w2stree/search/search.hpp"

namespace w2stree {

struct Path {
  std::int32_t end_chain;
  std::int32_t trajectory;
  double value;
  std::int64_t visit_count;
};

/// What the search of one tree leaves.
struct TreeResult {
  std::vector<ArmStatistics> statistics;
  std::vector<Path> paths;
  std::int64_t num_simulations = 0;
  std::int32_t last_look = kNone;
  bool has_converged = false;
};

/// Searches one tree after another, in memory it keeps.
class TreeSearch {
 public:
  TreeSearch(const Forest& forest, const SearchOptions& options, const CountTable& counts)
      : forest_(forest), options_(options), counts_(counts), arms_(forest, options) {}

  /// Of a tree with trajectories. Goes on from `earlier`, if not null.
  TreeResult run(std::int32_t tree, const SearchResult* earlier, Watch& watch);

  std::int64_t num_exact_checks() const { return decision_.num_exact_checks(); }

 private:
  void simulate(std::int64_t num_simulations, Watch& watch);
  template <class Counts>
  void simulate_with(std::int64_t num_simulations, Counts counts);
  ArmId descend();
  template <Backup backup, class Counts>
  void back_up(double value, Counts counts);
  void open(ArmId arm);

  void open_visited();
  void look(TreeResult& result);
  std::vector<Path> best_paths();
  std::vector<std::int64_t> count_visited_endings();
  template <class IsEligible>
  std::vector<ArmId> greedy_path(IsEligible is_eligible);
  template <class IsEligible>
  ArmId best_arm(const Arm& lead, std::int64_t min_visits, IsEligible is_eligible) const;
  double worth(ArmId arm) const;
  Path path_to(ArmId end) const;
  std::vector<ArmStatistics> statistics() const;

  const Forest& forest_;
  const SearchOptions& options_;
  const CountTable& counts_;
  Arms arms_;
  Decision decision_{options_, arms_};
};

}  // namespace w2stree
