#include "assembly.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "w2stree/errors.hpp"

namespace w2stree {
namespace {

void rename(std::string_view name, std::span<const std::int32_t> from,
            std::span<const std::int32_t> names, std::int32_t* to) {
  if (names.empty()) {
    std::copy(from.begin(), from.end(), to);
    return;
  }
  for (const std::int32_t id : from) {
    if (id != kNone && at(id) >= names.size()) {
      refuse(name, "=", id, " has no new name: ", names.size(), " given");
    }
    *to++ = id == kNone ? kNone : names[at(id)];
  }
}

// `to[i]` = `from[i]` + shift, kNone stays.
void shift(std::span<const std::int32_t> from, std::int32_t shift, std::int32_t* to) {
  for (const std::int32_t id : from) *to++ = id == kNone ? kNone : id + shift;
}

}  // namespace

Assembly::Assembly(std::span<const TreeSize> sizes) {
  places_.reserve(sizes.size() + 1);
  std::int64_t nodes = 0;
  Place place;
  for (const TreeSize& size : sizes) {
    places_.push_back(place);
    nodes += size.num_nodes;
    if (nodes > kMaxId) refuse("more than ", kMaxId, " nodes; split the tasks over forests");
    place.node = static_cast<std::int32_t>(nodes);
    place.chain += size.num_chains;
    place.trajectory += size.num_trajectories;
  }
  places_.push_back(place);
  for (auto* column : {&action_id_, &observation_id_})
    *column = Buffer<std::int32_t>(at(place.node));
  for (auto* column : {&parent_, &subtree_end_, &depth_, &num_actions_, &num_trajectories_,
                       &num_terminal_, &first_trajectory_}) {
    *column = Buffer<std::int32_t>(at(place.chain));
  }
  first_node_ = Buffer<std::int32_t>(at(place.chain) + 1);
  first_node_[at(place.chain)] = place.node;
  return_sum_ = Buffer<double>(at(place.chain));
  for (auto* column : {&end_chain_, &trajectory_order_}) {
    *column = Buffer<std::int32_t>(at(place.trajectory));
  }
}

void Assembly::write(std::int32_t tree, std::span<const Branch> branches,
                     std::span<const std::int32_t> next_ending) {
  struct Pending {
    std::int32_t branch;
    std::int32_t parent;  // chain
    std::int32_t depth;
  };
  Place next = places_[at(tree)];
  const std::int32_t begin = next.chain;
  std::vector<Pending> pending = {{0, kNone, 0}};
  while (!pending.empty()) {
    const auto [number, parent, depth] = pending.back();
    pending.pop_back();
    const Branch& branch = branches[at(number)];
    const std::int32_t chain = write_chain(branch, parent, depth, next);
    write_endings(branch, chain, next_ending, next);
    // Taking the first child first, and the sibling after all below it, is pre-order.
    if (branch.next_sibling != kNone) pending.push_back({branch.next_sibling, parent, depth});
    if (branch.first_child != kNone) {
      const std::int32_t length = branch.label.length + (parent == kNone ? 1 : 0);
      pending.push_back({branch.first_child, chain, depth + length});
    }
  }
  close_subtrees(begin, next.chain);
}

std::int32_t Assembly::write_chain(const Branch& branch, std::int32_t parent, std::int32_t depth,
                                   Place& next) {
  const std::int32_t chain = next.chain++;
  first_node_[at(chain)] = next.node;
  parent_[at(chain)] = parent;
  subtree_end_[at(chain)] = chain + 1;
  depth_[at(chain)] = depth;
  num_actions_[at(chain)] = branch.num_actions;
  num_trajectories_[at(chain)] = branch.num_trajectories;
  num_terminal_[at(chain)] = branch.num_terminal;
  first_trajectory_[at(chain)] = next.trajectory;
  return_sum_[at(chain)] = branch.return_sum;
  if (parent == kNone) {  // the root itself, which no step led to
    action_id_[at(next.node)] = kNone;
    observation_id_[at(next.node)] = kNone;
    next.node += 1;
  }
  const Label& label = branch.label;
  std::copy_n(label.action, label.length, action_id_.data() + next.node);
  std::copy_n(label.observation, label.length, observation_id_.data() + next.node);
  next.node += label.length;
  return chain;
}

void Assembly::write_endings(const Branch& branch, std::int32_t chain,
                             std::span<const std::int32_t> next_ending, Place& next) {
  for (std::int32_t trajectory = branch.first_ending; trajectory != kNone;
       trajectory = next_ending[at(trajectory)]) {
    trajectory_order_[at(next.trajectory++)] = trajectory;
    end_chain_[at(trajectory)] = chain;
  }
}

// Children have greater numbers than their parents: one backward sweep closes every range.
void Assembly::close_subtrees(std::int32_t begin, std::int32_t end) {
  for (std::int32_t chain = end - 1; chain > begin; --chain) {
    auto& above = subtree_end_[at(parent_[at(chain)])];
    above = std::max(above, subtree_end_[at(chain)]);
  }
}

void Assembly::copy(std::int32_t tree, const Shard& shard, std::int32_t source,
                    std::int32_t trajectory_shift) {
  const Forest& forest = *shard.forest;
  const Chains& chains = forest.chains;
  const Place place = places_[at(tree)];
  const std::int32_t begin = forest.root_chain[at(source)];
  const auto count = at(forest.root_chain[at(source) + 1] - begin);
  const std::int32_t first_node = chains.first_node[at(begin)];
  const std::int32_t first_trajectory = chains.first_trajectory[at(begin)];
  const auto num_nodes = at(chains.first_node[at(begin) + count] - first_node);
  const auto slice = [&](const auto& column) {
    return std::span(column).subspan(at(begin), count);
  };

  rename("action_id", {forest.action_id.data() + first_node, num_nodes}, shard.action_name,
         action_id_.data() + place.node);
  rename("observation_id", {forest.observation_id.data() + first_node, num_nodes},
         shard.observation_name, observation_id_.data() + place.node);
  shift(slice(chains.first_node), place.node - first_node, first_node_.data() + place.chain);
  shift(slice(chains.parent), place.chain - begin, parent_.data() + place.chain);
  shift(slice(chains.subtree_end), place.chain - begin, subtree_end_.data() + place.chain);
  shift(slice(chains.first_trajectory), place.trajectory - first_trajectory,
        first_trajectory_.data() + place.chain);
  std::ranges::copy(slice(chains.depth), depth_.data() + place.chain);
  std::ranges::copy(slice(chains.num_actions), num_actions_.data() + place.chain);
  std::ranges::copy(slice(chains.num_trajectories), num_trajectories_.data() + place.chain);
  std::ranges::copy(slice(chains.num_terminal), num_terminal_.data() + place.chain);
  std::ranges::copy(slice(chains.return_sum), return_sum_.data() + place.chain);

  std::int32_t position = place.trajectory;
  for (const std::int32_t trajectory : trajectories_through(forest, begin)) {
    const std::int32_t name = trajectory + trajectory_shift;
    trajectory_order_[at(position++)] = name;
    end_chain_[at(name)] = forest.end_chain[at(trajectory)] + place.chain - begin;
  }
}

Forest Assembly::finish(Column<double> total_return) && {
  Buffer<std::int32_t> root_chain(places_.size());
  std::ranges::transform(places_, root_chain.begin(), &Place::chain);
  Forest forest;
  forest.action_id = std::move(action_id_);
  forest.observation_id = std::move(observation_id_);
  forest.chains = {
      std::move(first_node_),   std::move(parent_),           std::move(subtree_end_),
      std::move(depth_),        std::move(num_actions_),      std::move(num_trajectories_),
      std::move(num_terminal_), std::move(first_trajectory_), std::move(return_sum_)};
  forest.root_chain = std::move(root_chain);
  forest.end_chain = std::move(end_chain_);
  forest.trajectory_order = std::move(trajectory_order_);
  forest.total_return = std::move(total_return);
  return forest;
}

}  // namespace w2stree
