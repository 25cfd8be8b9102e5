// From the statistics of arms to those of the chains that their descents went through.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "search/arms.hpp"
#include "w2stree/search/search.hpp"

namespace w2stree {

/// Calls visit(chain, is_stop) for each chain the arm's descents went through before the next
/// arm, and for the chain where they ended if there was none.
template <class Visit>
void for_each_visited(const Forest& forest, const SearchOptions& options, const ArmStatistics& arm,
                      Visit visit) {
  if (arm.is_stop) {
    visit(arm.chain, true);
    return;
  }
  std::int32_t chain = arm.chain;
  for (; is_passed_through(forest, options, chain); ++chain) visit(chain, false);
  visit(chain, false);
  if (is_leaf(forest, chain)) visit(chain, true);
}

/// Into value_max, by chain of the tree from `root` on: the greatest value backed up through it.
void write_value_max(const Forest& forest, const SearchOptions& options, std::int32_t root,
                     const std::vector<ArmStatistics>& statistics, std::span<double> value_max);

/// The statistics by chain of the tree from `root` on.
EarlierStatistics by_chain(const Forest& forest, const SearchOptions& options, std::int32_t root,
                           const std::vector<ArmStatistics>& statistics);

}  // namespace w2stree
