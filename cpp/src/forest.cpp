#include "w2stree/forest.hpp"

#include <algorithm>

namespace w2stree {

std::int32_t chain_of(const Forest& forest, std::int32_t node) {
  const auto& first_node = forest.chains.first_node;
  const auto after = std::upper_bound(first_node.begin(), first_node.end() - 1, node);
  return static_cast<std::int32_t>(after - first_node.begin()) - 1;
}

}  // namespace w2stree
