#include "divergence_sweep.hpp"

#include <algorithm>
#include <numeric>

namespace w2stree {

void DivergenceSweep::enter(std::int32_t tree) {
  const std::int32_t root = forest_->root_chain[at(tree)];
  order_.rank(*forest_, tree, rule_);
  ranked_.assign(order_.ascending().begin(), order_.ascending().end());
  first_position_ = forest_->chains.first_trajectory[at(root)];
  next_chain_ = root;
  end_chain_ = forest_->root_chain[at(tree) + 1];
  const std::size_t size = ranked_.size();
  if (slot_.size() < size) {
    slot_.resize(size);
    handed_.resize(size);
  }
}

bool DivergenceSweep::next() {
  while (next_chain_ < end_chain_) {
    const std::int32_t chain = next_chain_++;
    if (is_leaf(*forest_, chain)) continue;
    if (!may_have_pairs(chain)) {
      next_chain_ = forest_->chains.subtree_end[at(chain)];
      continue;
    }
    hand_down(chain);
    if (!is_decision_divergence(*forest_, chain)) continue;
    chain_ = chain;
    return true;
  }
  return false;
}

void DivergenceSweep::seek(std::int32_t chain) {
  while (next_chain_ < chain) {
    const std::int32_t end = forest_->chains.subtree_end[at(next_chain_)];
    if (end <= chain) {
      next_chain_ = end;  // not an ancestor
    } else {
      hand_down(next_chain_++);
    }
  }
  hand_down(next_chain_++);
  chain_ = chain;
}

std::span<Ranked> DivergenceSweep::slice(std::int32_t chain) {
  return std::span(ranked_).subspan(
      at(forest_->chains.first_trajectory[at(chain)] - first_position_),
      at(forest_->chains.num_trajectories[at(chain)]));
}

// Not if even the best does not beat the worst.
bool DivergenceSweep::may_have_pairs(std::int32_t chain) {
  const std::span<const Ranked> own = slice(chain);
  return !own.empty() && own.front().level < num_beaten()[at(own.back().level)];
}

void DivergenceSweep::hand_down(std::int32_t chain) {
  find_slots(chain);
  const std::span<Ranked> own = slice(chain);
  contenders_.resize(own.size());
  const std::int32_t first = forest_->chains.first_trajectory[at(chain)];
  std::size_t num_contenders = 0;
  for (const Ranked& trajectory : own) {
    const std::int32_t slot = slot_[at(trajectory.position - first)];
    handed_[at(slot_next_[at(slot)]++)] = trajectory;
    contenders_[num_contenders] = {trajectory.position, trajectory.level, slot_action_[at(slot)]};
    num_contenders += slot != 0;
  }
  contenders_.resize(num_contenders);
  std::copy_n(handed_.begin(), own.size(), own.begin());
}

void DivergenceSweep::find_slots(std::int32_t chain) {
  const std::int32_t first = forest_->chains.first_trajectory[at(chain)];
  slot_next_.assign(1, 0);
  slot_action_.assign(1, kNone);
  std::fill_n(slot_.begin(), forest_->chains.num_terminal[at(chain)], 0);
  for_each_child(*forest_, chain, [&](std::int32_t child) {
    const auto slot = static_cast<std::int32_t>(slot_next_.size());
    const std::int32_t begin = forest_->chains.first_trajectory[at(child)] - first;
    std::fill_n(slot_.begin() + begin, forest_->chains.num_trajectories[at(child)], slot);
    slot_next_.push_back(begin);
    slot_action_.push_back(slot - 1);
  });
  const auto num_children = static_cast<std::int32_t>(slot_next_.size()) - 1;
  if (forest_->chains.num_actions[at(chain)] < num_children) number_actions(chain);
}

// Some children share an action: each gets the number of the first child with its action, and
// those numbers are closed up.
void DivergenceSweep::number_actions(std::int32_t chain) {
  struct Child {
    std::int32_t action_id;
    std::int32_t slot;
  };
  std::vector<Child> children;
  for_each_child(*forest_, chain, [&](std::int32_t child) {
    children.push_back(
        {first_action(*forest_, child), static_cast<std::int32_t>(children.size()) + 1});
  });
  std::ranges::stable_sort(children, {}, &Child::action_id);
  std::vector<std::int32_t> first_slot(children.size() + 1);
  for (std::size_t i = 0; i < children.size(); ++i) {
    const bool is_first = i == 0 || children[i].action_id != children[i - 1].action_id;
    first_slot[at(children[i].slot)] =
        is_first ? children[i].slot : first_slot[at(children[i - 1].slot)];
  }
  std::int32_t num_actions = 0;
  for (std::size_t slot = 1; slot < first_slot.size(); ++slot) {
    const bool is_first = at(first_slot[slot]) == slot;
    slot_action_[slot] = is_first ? num_actions++ : slot_action_[at(first_slot[slot])];
  }
}

}  // namespace w2stree
