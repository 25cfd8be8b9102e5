#include "pairs/small_tree.hpp"

#include <algorithm>
#include <bit>

#include "pairs/action_numbers.hpp"

namespace w2stree {
namespace {

// Calls visit(bit) in ascending order.
template <class Visit>
void for_each_bit(std::uint64_t set, Visit visit) {
  for (; set != 0; set &= set - 1) visit(static_cast<std::size_t>(std::countr_zero(set)));
}

}  // namespace

void SmallTree::count(std::int32_t tree, std::span<std::int64_t> count) {
  for_each_winner(tree, [&](std::int32_t chain, std::size_t, Set losers) {
    count[at(chain - root_)] += std::popcount(losers);
  });
}

void SmallTree::write(std::int32_t tree, const PairColumns& out) {
  std::int32_t* divergence = out.divergence.data();
  std::int32_t* chosen = out.chosen.data();
  std::int32_t* rejected = out.rejected.data();
  for_each_winner(tree, [&](std::int32_t chain, std::size_t winner, Set losers) {
    const std::int32_t node = last_node(*forest_, chain);
    const std::int32_t trajectory = trajectory_[winner];
    for_each_bit(losers, [&](std::size_t loser) {
      *divergence++ = node;
      *chosen++ = trajectory;
      *rejected++ = trajectory_[loser];
    });
  });
}

template <class Visit>
void SmallTree::for_each_winner(std::int32_t tree, Visit visit) {
  rank(tree);
  find_sets(tree);
  const std::int32_t end = forest_->root_chain[at(tree) + 1];
  for (std::int32_t chain = root_; chain < end; ++chain) {
    if (!is_decision_divergence(*forest_, chain)) continue;
    const Set contenders = set(chain) & ~ending_at(chain);
    find_actions(chain);
    for (const Set own : action_set_) {
      const Set others = contenders & ~own;
      const auto worst = static_cast<std::size_t>(std::countr_zero(others));
      for_each_bit(own & winners_[worst],
                   [&](std::size_t winner) { visit(chain, winner, others & beaten_[winner]); });
    }
  }
}

void SmallTree::rank(std::int32_t tree) {
  root_ = forest_->root_chain[at(tree)];
  const std::int32_t first = forest_->chains.first_trajectory[at(root_)];
  const std::span<const Ranked> ascending = order_->tree(*forest_, tree);
  std::fill_n(winners_, ascending.size(), Set{0});
  std::size_t num_beaten = 0;
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    const auto [position, level] = ascending[i];
    trajectory_[i] = forest_->trajectory_order[at(position)];
    bit_[at(position - first)] = Set{1} << i;
    while (ascending[num_beaten].level < order_->num_beaten[at(level)]) {
      winners_[num_beaten++] = ~Set{0} << i;  // this one and all that follow
    }
    beaten_[i] = (Set{1} << num_beaten) - 1;  // never all: it does not beat itself
  }
}

// Children have greater numbers than their parents: one backward sweep adds every set up.
void SmallTree::find_sets(std::int32_t tree) {
  const std::int32_t end = forest_->root_chain[at(tree) + 1];
  set_.assign(at(end - root_), 0);
  for (std::int32_t chain = end - 1; chain > root_; --chain) {
    set_[at(chain - root_)] |= ending_at(chain);
    set_[at(forest_->chains.parent[at(chain)] - root_)] |= set(chain);
  }
  set_.front() |= ending_at(root_);
}

SmallTree::Set SmallTree::ending_at(std::int32_t chain) const {
  const std::int32_t begin =
      forest_->chains.first_trajectory[at(chain)] - forest_->chains.first_trajectory[at(root_)];
  const std::int32_t end = begin + forest_->chains.num_terminal[at(chain)];
  Set ending = 0;
  for (std::int32_t i = begin; i < end; ++i) ending |= bit_[at(i)];
  return ending;
}

void SmallTree::find_actions(std::int32_t chain) {
  action_set_.clear();
  for_each_child(*forest_, chain, [&](std::int32_t child) { action_set_.push_back(set(child)); });
  const std::size_t num_actions = at(forest_->chains.num_actions[at(chain)]);
  if (action_set_.size() != num_actions) join_shared(chain, num_actions);
}

// Children of one action, answered differently, are one set.
void SmallTree::join_shared(std::int32_t chain, std::size_t num_actions) {
  number_actions(*forest_, chain, child_action_);
  action_set_.assign(num_actions, 0);
  auto action = child_action_.begin();
  for_each_child(*forest_, chain,
                 [&](std::int32_t child) { action_set_[at(*action++)] |= set(child); });
}

}  // namespace w2stree
