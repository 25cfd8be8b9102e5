// What the tests of the search share.
#pragma once

#include <cstdint>
#include <vector>

#include "support/check.hpp"
#include "support/episodes.hpp"
#include "w2stree/search/search.hpp"

namespace w2stree::test {

using Ids = std::vector<std::int32_t>;
using Counts = std::vector<std::int64_t>;
using Values = std::vector<double>;

inline Counts visits(const Forest& forest, const SearchResult& result) {
  const Column<std::int64_t> column = chain_visit_count(forest, result);
  return {column.begin(), column.end()};
}

// Equal in all but the count of exact checks.
inline void check_equal(const Forest& forest, const SearchResult& left, const SearchResult& right) {
  CHECK(chain_visit_count(forest, left) == chain_visit_count(forest, right));
  CHECK(chain_value_sum(forest, left) == chain_value_sum(forest, right));
  CHECK(chain_stop_visit_count(forest, left) == chain_stop_visit_count(forest, right));
  CHECK(chain_stop_value_sum(forest, left) == chain_stop_value_sum(forest, right));
  CHECK(chain_value_max(forest, left) == chain_value_max(forest, right));
  CHECK(left.num_simulations == right.num_simulations);
  CHECK(left.best_end_chain == right.best_end_chain);
  CHECK(left.best_trajectory == right.best_trajectory);
  CHECK(left.path_tree == right.path_tree);
  CHECK(left.path_end_chain == right.path_end_chain);
  CHECK(left.path_trajectory == right.path_trajectory);
  CHECK(left.path_value == right.path_value);
  CHECK(left.path_visit_count == right.path_visit_count);
}

// ab 1.0, abc 0.0, ad 0.3: the best trajectory ends inside the tree.
//   chain 0 root and a, 1 ab, 2 abc, 3 ad
inline Forest inner_ending() {
  return build_forest(Episodes().add(0, "ab", 1.0).add(0, "abc", 0.0).add(0, "ad", 0.3).columns());
}

}  // namespace w2stree::test
