#include "pairs/action_numbers.hpp"

#include <algorithm>
#include <utility>

namespace w2stree {
namespace {

// Each child gets the number of the first child with its action; then those are closed up.
void number_shared(const Forest& forest, std::int32_t chain, std::vector<std::int32_t>& number) {
  std::vector<std::pair<std::int32_t, std::int32_t>> children;  // action id, child
  for_each_child(forest, chain, [&](std::int32_t child) {
    children.emplace_back(first_action(forest, child), static_cast<std::int32_t>(children.size()));
  });
  std::ranges::sort(children);
  std::vector<std::int32_t> first(children.size());
  for (std::size_t i = 0; i < children.size(); ++i) {
    const auto [action, child] = children[i];
    const bool is_first = i == 0 || action != children[i - 1].first;
    first[at(child)] = is_first ? child : first[at(children[i - 1].second)];
  }
  std::int32_t num_actions = 0;
  for (const std::int32_t own : first) {
    const bool is_first = at(own) == number.size();
    number.push_back(is_first ? num_actions++ : number[at(own)]);
  }
}

}  // namespace

void number_actions(const Forest& forest, std::int32_t chain, std::vector<std::int32_t>& number) {
  number.clear();
  for_each_child(forest, chain,
                 [&](std::int32_t) { number.push_back(static_cast<std::int32_t>(number.size())); });
  if (at(forest.chains.num_actions[at(chain)]) == number.size()) return;
  number.clear();
  number_shared(forest, chain, number);
}

}  // namespace w2stree
