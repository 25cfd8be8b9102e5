#include "w2stree/file/digest.hpp"

#include <algorithm>
#include <bit>
#include <string_view>
#include <vector>

#include "base/parallel.hpp"
#include "w2stree/base/xxhash.hpp"

namespace w2stree {
namespace {

constexpr std::size_t kTextsAtOnce = 4096;

// f(lane) for both lanes.
template <class F>
Digest by_lane(F f) {
  return {f(0), f(1)};
}

template <class... Words>
std::uint64_t seal(std::uint64_t hash, Words... words) {
  ((hash = Xxh64::mix(hash, words)), ...);
  return Xxh64::avalanche(hash);
}

std::uint64_t word(std::int32_t count) {
  return static_cast<std::uint64_t>(count);
}

std::uint64_t word(double value) {
  return std::bit_cast<std::uint64_t>(value + 0.0);  // -0.0 + 0.0 is 0.0
}

void add(Digest& sum, const Digest& term) {
  for (std::size_t lane = 0; lane < 2; ++lane) sum[lane] += term[lane];
}

void check_ids(std::string_view name, const Column<std::int32_t>& id, std::size_t num_texts) {
  for (std::size_t node = 0; node < id.size(); ++node) {
    if (id[node] != kNone && at(id[node]) >= num_texts) {
      refuse(name, "[", node, "]=", id[node], " has no text: ", num_texts, " given");
    }
  }
}

class TreeDigest {
 public:
  TreeDigest(const Forest& forest, std::span<const Digest> action,
             std::span<const Digest> observation)
      : forest_(forest), action_(action), observation_(observation) {}

  Digest run(std::int32_t tree, const Digest& task, Watch& watch) {
    begin_ = forest_.root_chain[at(tree)];
    const std::int32_t end = forest_.root_chain[at(tree) + 1];
    path_.resize(at(end - begin_));
    Digest sum = {};
    for (std::int32_t chain = begin_; chain < end; ++chain) {
      follow(chain, task);
      add_chain(chain, sum);
      watch.check();
    }
    return sum;
  }

 private:
  // From the end of the parent's path to the chain's last node. A root's first node is no step.
  void follow(std::int32_t chain, const Digest& task) {
    const std::int32_t parent = forest_.chains.parent[at(chain)];
    auto [left, right] = parent == kNone ? task : path_[at(parent - begin_)];
    const std::int32_t first = forest_.chains.first_node[at(chain)] + (parent == kNone ? 1 : 0);
    for (std::int32_t node = first; node <= last_node(forest_, chain); ++node) {
      const Digest& action = action_[at(forest_.action_id[at(node)])];
      const Digest& observation = observation_[at(forest_.observation_id[at(node)])];
      left = Xxh64::mix(left, seal(action[0], observation[0]));
      right = Xxh64::mix(right, seal(action[1], observation[1]));
    }
    path_[at(chain - begin_)] = {left, right};
  }

  void add_chain(std::int32_t chain, Digest& sum) const {
    const Digest& path = path_[at(chain - begin_)];
    const std::uint64_t through = word(forest_.chains.num_trajectories[at(chain)]);
    const std::uint64_t ending = word(forest_.chains.num_terminal[at(chain)]);
    add(sum, by_lane([&](std::size_t lane) { return seal(path[lane], through, ending); }));
    for (const std::int32_t trajectory : trajectories_ending_at(forest_, chain)) {
      const std::uint64_t value = word(forest_.total_return[at(trajectory)]);
      add(sum, by_lane([&](std::size_t lane) { return seal(path[lane], value); }));
    }
  }

  const Forest& forest_;
  std::span<const Digest> action_, observation_;
  std::int32_t begin_ = 0;
  std::vector<Digest> path_;  // to the last node of each chain of the tree
};

}  // namespace

std::vector<Digest> hash_texts(const TextTable& table, const Execution& execution) {
  std::vector<Digest> hashes(num_texts(table));
  const auto num_items =
      static_cast<std::int32_t>((hashes.size() + kTextsAtOnce - 1) / kTextsAtOnce);
  parallel_for(num_items, execution, [&](std::int32_t item, std::int32_t, Watch&) {
    const std::size_t begin = at(item) * kTextsAtOnce;
    for (std::size_t i = begin; i < std::min(begin + kTextsAtOnce, hashes.size()); ++i) {
      hashes[i] = by_lane([&](std::size_t lane) { return xxh64(text(table, i), lane); });
    }
  });
  return hashes;
}

Digest digest(const Forest& forest, std::span<const Digest> task, std::span<const Digest> action,
              std::span<const Digest> observation, const Execution& execution) {
  if (task.size() != at(num_trees(forest))) {
    refuse("task_ids has ", task.size(), " elements; expected ", num_trees(forest),
           ", one for each tree");
  }
  check_ids("action_id", forest.action_id, action.size());
  check_ids("observation_id", forest.observation_id, observation.size());
  std::vector<TreeDigest> workers(at(num_workers(num_trees(forest), execution)),
                                  TreeDigest(forest, action, observation));
  std::vector<Digest> sums(workers.size(), Digest{});
  parallel_for(num_trees(forest), execution,
               [&](std::int32_t tree, std::int32_t worker, Watch& watch) {
                 add(sums[at(worker)], workers[at(worker)].run(tree, task[at(tree)], watch));
               });
  Digest sum = {};
  for (const Digest& part : sums) add(sum, part);
  return by_lane([&](std::size_t lane) {
    return seal(sum[lane], word(num_trees(forest)), word(num_nodes(forest)),
                word(num_trajectories(forest)));
  });
}

}  // namespace w2stree
