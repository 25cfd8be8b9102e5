// Preference pairs (Eq. 6): index triples, no text.
//
//              h  shared prefix                 divergence = node after h
//            a/ \b                              chosen     = trajectory with return 1.0
//        1.0 o   o 0.3                          rejected   = trajectory with return 0.3
//
// Two trajectories make a pair where they leave a node by different actions and a PairRule holds.
// Equal actions with different observations are luck and give no pair at that node; a trajectory
// that ends at the node has no action there and takes no part. Every two trajectories part at one
// node at most, so n trajectories have fewer than n^2 / 2 pairs: a count never overflows.
//
// The order of pairs, everywhere: by divergence node; then the chosen one by its action (in order
// of first appearance among the children), its return, its index; then the rejected one by return
// and index; all ascending.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "w2stree/base/execution.hpp"
#include "w2stree/base/returns.hpp"
#include "w2stree/forest/forest.hpp"

namespace w2stree {

/// Which returns make a pair: chosen > rejected and chosen >= rejected + min_gap; with a
/// success_threshold also chosen >= it > rejected. What is equal but for rounding is equal:
///
///     differ      chosen > rejected + return_tolerance(rejected)
///     by enough   is_at_least(chosen, rejected + min_gap)
///
/// Each bound never falls as the rejected return rises, in rounded arithmetic too: the tolerance
/// moves a trillion times more slowly than what it is added to.
struct PairRule {
  double min_gap = 0.0;
  std::optional<double> success_threshold = std::nullopt;
};

/// Throws InvalidInput unless min_gap is finite and >= 0 and the threshold, if any, finite.
void check(const PairRule& rule);

/// Columns of equal length.
struct Pairs {
  Column<std::int32_t> divergence;  // node id
  Column<std::int32_t> chosen;      // trajectory index
  Column<std::int32_t> rejected;    // trajectory index
};

/// [num_pairs] return of the chosen less that of the rejected; infinite where that overflows.
/// Throws InvalidInput naming the first index that is no trajectory, and for unequal lengths.
Column<double> pair_gaps(const Forest& forest, std::span<const std::int32_t> chosen,
                         std::span<const std::int32_t> rejected);

/// More would be tens of gigabytes that hardly anybody wants: InvalidInput, before allocating.
inline constexpr std::int64_t kMaxPairs = 2'147'483'647;

/// [num_chains] how many pairs diverge after each chain, without enumerating. For n trajectories
/// O((n + edges) C) where returns fall into C <= 32 classes (success and failure are two); else
/// O(n log n + steps taken out of divergences). Throws InvalidInput for a bad rule.
std::vector<std::int64_t> count_pairs(const Forest& forest, const PairRule& rule,
                                      const Execution& execution = {});

/// All pairs. A count, then O(pairs). Throws InvalidInput for more than kMaxPairs.
Pairs enumerate_pairs(const Forest& forest, const PairRule& rule, const Execution& execution = {});

/// What to keep of all pairs. Applied from top to bottom; the order of pairs stays.
struct PairSelection {
  enum class Strategy {
    all,
    best_worst,  // a divergence's greatest gap; ties: lowest chosen, then lowest rejected index
  };
  Strategy strategy = Strategy::all;
  std::optional<std::int64_t> per_divergence = std::nullopt;  // that many at random, or all
  std::optional<std::int64_t> max_per_task = std::nullopt;    // likewise
};

/// Where random numbers come from. One number and key give one sequence on every platform.
struct Seed {
  std::uint64_t number = 0;
  std::span<const std::uint64_t> tree_key = {};  // [num_trees], or empty: the tree's number
};

/// The selected pairs, drawn uniformly without replacement and without enumerating the others.
/// What is drawn from a tree depends on that tree, the seed's number and the tree's key only.
/// Throws InvalidInput for limits below 1 and for more than kMaxPairs.
Pairs select_pairs(const Forest& forest, const PairRule& rule, const PairSelection& selection,
                   const Seed& seed, const Execution& execution = {});

/// num_pairs of all pairs (all, if there are fewer): every set of that many is equally likely.
/// A count, then O(log) a pair and O(k) at the divergences above those drawn from, of k
/// trajectories. Throws InvalidInput for a negative number and for more than kMaxPairs.
Pairs sample_pairs(const Forest& forest, const PairRule& rule, std::int64_t num_pairs,
                   std::uint64_t seed, const Execution& execution = {});

}  // namespace w2stree
