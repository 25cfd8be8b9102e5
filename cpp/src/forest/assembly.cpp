#include "forest/assembly.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "w2stree/base/errors.hpp"

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

Place place_after(const Place& place, std::int64_t num_nodes, std::int64_t num_chains,
                  std::int64_t num_trajectories) {
  const auto sum = [](std::int64_t left, std::int64_t right, std::string_view what) {
    if (left + right > kMaxId) {
      refuse("more than ", kMaxId, " ", what, "; split the tasks over several forests");
    }
    return static_cast<std::int32_t>(left + right);
  };
  return {sum(place.node, num_nodes, "nodes"), sum(place.chain, num_chains, "chains"),
          sum(place.trajectory, num_trajectories, "trajectories")};
}

Place place_after(const Place& place, const Forest& forest, std::int32_t tree) {
  const std::int32_t begin = forest.root_chain[at(tree)];
  const std::int32_t end = forest.root_chain[at(tree) + 1];
  const auto& first_node = forest.chains.first_node;
  return place_after(place, first_node[at(end)] - first_node[at(begin)], end - begin,
                     forest.chains.num_trajectories[at(begin)]);
}

Assembly::Assembly(const Place& end, std::int32_t num_trajectories)
    : return_sum_(at(end.chain)),
      end_chain_(at(num_trajectories)),
      trajectory_order_(at(end.trajectory)) {
  for (auto* column : {&action_id_, &observation_id_}) *column = Buffer<std::int32_t>(at(end.node));
  for (auto* column : {&first_node_, &parent_, &subtree_end_, &depth_, &num_actions_,
                       &num_trajectories_, &num_terminal_, &first_trajectory_}) {
    *column = Buffer<std::int32_t>(at(end.chain) + 1);
  }
}

Place Assembly::write(const Place& place, const Skeleton& skeleton) {
  Place next = place;
  pending_.assign(1, {0, kNone, 0});
  while (!pending_.empty()) {
    const auto [number, parent, depth] = pending_.back();
    pending_.pop_back();
    const std::int32_t chain = write_chain(skeleton, number, parent, depth, next);
    // Taking the first child first, and the sibling after all below it, is pre-order.
    const Branch& branch = skeleton[number];
    if (branch.next_sibling != kNone) pending_.push_back({branch.next_sibling, parent, depth});
    if (branch.first_child != kNone) {
      const std::int32_t length = branch.length + (parent == kNone ? 1 : 0);
      pending_.push_back({branch.first_child, chain, depth + length});
    }
  }
  close_subtrees(place.chain, next.chain);
  return next;
}

std::int32_t Assembly::write_chain(const Skeleton& skeleton, std::int32_t number,
                                   std::int32_t parent, std::int32_t depth, Place& next) {
  const Branch& branch = skeleton[number];
  const std::int32_t chain = next.chain++;
  first_node_[at(chain)] = next.node;
  parent_[at(chain)] = parent;
  subtree_end_[at(chain)] = chain + 1;
  depth_[at(chain)] = depth;
  num_actions_[at(chain)] = skeleton.num_actions(number);
  num_trajectories_[at(chain)] = branch.num_trajectories;
  first_trajectory_[at(chain)] = next.trajectory;
  return_sum_[at(chain)] = branch.return_sum;
  for (std::int32_t trajectory = branch.first_ending; trajectory != kNone;
       trajectory = skeleton.next_ending(trajectory)) {
    trajectory_order_[at(next.trajectory++)] = trajectory;
    end_chain_[at(trajectory)] = chain;
  }
  num_terminal_[at(chain)] = next.trajectory - first_trajectory_[at(chain)];
  if (parent == kNone) {  // the root itself, which no step led to
    action_id_[at(next.node)] = kNone;
    observation_id_[at(next.node)] = kNone;
    next.node += 1;
  }
  std::copy_n(branch.action, branch.length, action_id_.data() + next.node);
  std::copy_n(branch.observation, branch.length, observation_id_.data() + next.node);
  next.node += branch.length;
  return chain;
}

// Children have greater numbers than their parents: one backward sweep closes every range.
void Assembly::close_subtrees(std::int32_t begin, std::int32_t end) {
  for (std::int32_t chain = end - 1; chain > begin; --chain) {
    auto& above = subtree_end_[at(parent_[at(chain)])];
    above = std::max(above, subtree_end_[at(chain)]);
  }
}

Place Assembly::copy(const Place& place, const Shard& shard, std::int32_t source,
                     std::int32_t trajectory_shift) {
  const Forest& forest = *shard.forest;
  const Chains& chains = forest.chains;
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
  return place_after(place, forest, source);
}

Forest Assembly::finish(std::span<const Place> places, Column<double> total_return) && {
  const auto num_nodes = at(places.back().node);
  const auto num_chains = at(places.back().chain);
  const auto num_ended = at(places.back().trajectory);
  first_node_[num_chains] = places.back().node;
  Buffer<std::int32_t> root_chain(places.size());
  std::ranges::transform(places, root_chain.begin(), &Place::chain);
  Forest forest;
  forest.action_id = std::move(action_id_).first(num_nodes);
  forest.observation_id = std::move(observation_id_).first(num_nodes);
  forest.chains.first_node = std::move(first_node_).first(num_chains + 1);
  forest.chains.parent = std::move(parent_).first(num_chains);
  forest.chains.subtree_end = std::move(subtree_end_).first(num_chains);
  forest.chains.depth = std::move(depth_).first(num_chains);
  forest.chains.num_actions = std::move(num_actions_).first(num_chains);
  forest.chains.num_trajectories = std::move(num_trajectories_).first(num_chains);
  forest.chains.num_terminal = std::move(num_terminal_).first(num_chains);
  forest.chains.first_trajectory = std::move(first_trajectory_).first(num_chains);
  forest.chains.return_sum = std::move(return_sum_).first(num_chains);
  forest.root_chain = std::move(root_chain);
  forest.end_chain = std::move(end_chain_);
  forest.trajectory_order = std::move(trajectory_order_).first(num_ended);
  forest.total_return = std::move(total_return);
  return forest;
}

}  // namespace w2stree
