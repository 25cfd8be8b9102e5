// Monte-Carlo tree search (Eq. 7) offline on the frozen forest: no expansion, no model calls.
//
//   arms of a chain's last node:   STOP   child   child   …     an arm leads to where a descent
//                                   │       │       │           goes on: STOP ends it here, a
//                                  here   child   child   …     child at the child's last node
//
// A leaf has STOP only. An inner chain where trajectories end has STOP first, then its children,
// because ending there is the shorter path; without stop_arm it has its children alone.
//
// Beside children STOP is a known arm: all its descents back up the same mean return, so that after
// one visit there is nothing to explore in it. Its score is r/c without a bonus, and the best path
// takes it seriously after one visit, whatever min_visits. Otherwise descents would stop at half of
// the visits at every ending with equal values below: n endings one after another would take 2^n.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "w2stree/base/execution.hpp"
#include "w2stree/forest/forest.hpp"

namespace w2stree {

/// What an arm is worth to those who choose among arms.
enum class Backup : std::uint8_t {
  kMean,  // r/c, the mean of the values backed up through it
  kMax,   // the greatest of them
};

struct SearchOptions {
  std::int64_t num_simulations = 1000;  // descents per tree, >= 1
  double exploration = 1.41;            // gamma of Eq. 7, finite and >= 0
  double return_scale = 1.0;            // greatest less least possible return, finite and > 0
  bool stop_arm = true;                 // false: the authors' published demo
  Backup backup = Backup::kMean;
  std::int64_t min_visits = 0;  // extraction sets arms of fewer visits aside, visited STOP not
  std::int64_t num_paths = 1;   // best paths per tree, at most; >= 1
  // Look at the greedy path each `patience` descents and stop when it ends where it did at the
  // look before; num_simulations is then a maximum. >= 1
  std::optional<std::int64_t> patience = {};

  /// What the bonus of Eq. 7 is multiplied by.
  double exploration_of_returns() const { return exploration * return_scale; }
};

/// Search statistics of one arm that was visited.
struct ArmStatistics {
  std::int64_t visit_count;  // c
  double value_sum;          // r: values summed in the order of the descents
  std::int32_t chain;        // the child, or (is_stop) the chain where the descents ended
  bool is_stop;
};

struct SearchResult {
  SearchOptions options;
  Column<std::int32_t> searched;  // chains.parent of the forest, which tells forests apart

  // By tree.
  std::vector<std::vector<ArmStatistics>> statistics;  // the first entry is the root chain's
  std::vector<std::int64_t> num_simulations;           // descents made
  std::vector<std::int32_t> best_end_chain;            // where the greedy path ends; see below
  std::vector<std::int32_t> best_trajectory;  // ends there; greatest return, ties lowest index

  // By path: of each tree, in order, its best paths, num_paths of them or as many as there are
  // visited endings. Trees without trajectories have none, and kNone above.
  std::vector<std::int32_t> path_tree;
  std::vector<std::int32_t> path_end_chain;
  std::vector<std::int32_t> path_trajectory;
  std::vector<double> path_value;              // mean return of the trajectories that end there
  std::vector<std::int64_t> path_visit_count;  // descents that ended there

  // How often the fast score could not tell arms apart and the score as defined did. Says nothing
  // about the result; a continued search may count a decision twice.
  std::int64_t num_exact_checks = 0;

  // For continuing: by tree, where the greedy path ended at the last look, and whether that
  // stopped the search.
  std::vector<std::int32_t> last_look;
  std::vector<std::uint8_t> has_converged;
};

/// Runs num_simulations descents on each tree and extracts its best paths.
///
/// A descent takes argmax r/c + exploration * return_scale * sqrt(log(C + 1e-12) / c) over the
/// arms, c and r the arm's visits and value, C the sum of c over the node's arms; of STOP beside
/// children argmax r/c alone. An arm never visited counts as +infinity; ties go to the first. log
/// is rounded correctly, the rest are IEEE doubles: every machine takes the same descents. The
/// value of an ending is the mean return, summed in input order, of the trajectories that end
/// exactly there. With Backup::kMax the greatest value stands in place of r/c.
///
/// The best path takes argmax r/c (kMax: the greatest value) over visited arms with at least
/// min_visits visits (of STOP one), or over all of them where none has as many; ties go to the
/// first. The next best is found likewise among the arms that lead to a visited ending no path has
/// taken yet.
///
/// Throws InvalidInput when an option is out of range. O(depth) a descent, counting nodes that
/// branch, and O(arms) where a node has many; memory O(arms of the nodes visited).
SearchResult search(const Forest& forest, const SearchOptions& options,
                    const Execution& execution = {});

/// Makes num_simulations more descents: with equal options, what one search of both numbers
/// together gives, bit for bit. Throws InvalidInput also when `earlier` is of another forest, or
/// of another exploration, return_scale, stop_arm or backup. With another patience than earlier,
/// looks begin anew.
SearchResult continue_search(const Forest& forest, const SearchResult& earlier,
                             const SearchOptions& options, const Execution& execution = {});

/// Throws InvalidInput unless the result is of this forest (copies of it are it).
void check_is_of(const Forest& forest, const SearchResult& result);

// What the result says of each chain, all nodes of which are visited alike: written out on demand,
// [num_chains] each, 0 where no descent came. A descent visits every chain from the root's to the
// one where it ends, both included, so
// visit_count[chain] = stop_visit_count[chain] + sum of visit_count over the children.
Column<std::int64_t> chain_visit_count(const Forest& forest, const SearchResult& result);
Column<double> chain_value_sum(const Forest& forest, const SearchResult& result);
Column<std::int64_t> chain_stop_visit_count(const Forest& forest, const SearchResult& result);
Column<double> chain_stop_value_sum(const Forest& forest, const SearchResult& result);
/// The greatest value backed up; -infinity where no descent came.
Column<double> chain_value_max(const Forest& forest, const SearchResult& result);

}  // namespace w2stree
