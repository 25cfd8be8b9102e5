#include "pairs/divergence_sweep.hpp"

#include <algorithm>
#include <numeric>

#include "pairs/action_numbers.hpp"

namespace w2stree {

void DivergenceSweep::enter(std::int32_t tree) {
  const std::span<const Ranked> ascending = order_->tree(*forest_, tree);
  root_ = forest_->root_chain[at(tree)];
  ranked_.assign(ascending.begin(), ascending.end());
  first_position_ = forest_->chains.first_trajectory[at(root_)];
  next_chain_ = root_;
  end_chain_ = forest_->root_chain[at(tree) + 1];
  if (child_.size() < ranked_.size()) {
    child_.resize(ranked_.size());
    handed_.resize(ranked_.size());
    contenders_.resize(ranked_.size());
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
  find_children(chain);
  const std::span<Ranked> own = slice(chain);
  const std::int32_t begin = first_going_on(chain);
  num_contenders_ = 0;
  for (const Ranked& trajectory : own) {
    if (trajectory.position < begin) continue;  // ends here
    const std::int32_t child = child_[at(trajectory.position - begin)];
    handed_[at(child_next_[at(child)]++)] = trajectory;
    contenders_[num_contenders_++] = {trajectory.position, trajectory.level,
                                      child_action_[at(child)]};
  }
  std::copy_n(handed_.begin(), num_contenders_,
              own.begin() + forest_->chains.num_terminal[at(chain)]);
}

void DivergenceSweep::find_children(std::int32_t chain) {
  number_actions(*forest_, chain, child_action_);
  child_next_.clear();
  action_begin_.assign(at(forest_->chains.num_actions[at(chain)]) + 1, 0);
  std::int32_t next = 0;
  for_each_child(*forest_, chain, [&](std::int32_t child) {
    const auto number = static_cast<std::int32_t>(child_next_.size());
    child_next_.push_back(next);
    const std::int32_t end = next + forest_->chains.num_trajectories[at(child)];
    action_begin_[at(child_action_[at(number)]) + 1] += end - next;
    for (; next < end; ++next) child_[at(next)] = number;
  });
  std::partial_sum(action_begin_.begin(), action_begin_.end(), action_begin_.begin());
}

std::int32_t DivergenceSweep::first_going_on(std::int32_t chain) const {
  return forest_->chains.first_trajectory[at(chain)] + forest_->chains.num_terminal[at(chain)];
}

}  // namespace w2stree
