// What a forest holds, in 128 bits: equal for any order of its trajectories, trees and texts and
// for any route to it (batch, incremental, merged shards), on any machine and number of threads.
//
//   text ──XXH64──> h(text)                         two lanes: seeds 0 and 1, then alike
//
//   path(root) = h(task id)
//   path(node) = mix(path(parent), step)            step = avalanche(mix(h(action),
//   h(observation)))
//
//        u ─ ∘ ─ n ─┬─ ∘ ─ e           n, where trajectories part or end, adds
//                   └─ ∘ ─ e'              seal(path(n), num_trajectories, num_terminal);
//                                      a trajectory that ends at e adds
//                                          seal(path(e), bits of its return)
//
//   digest = seal(sum, num_trees, num_nodes, num_trajectories)
//
// seal(h, words) = avalanche(mix(…mix(h, word)…)); mix and avalanche are XXH64's own (xxhash.hpp).
// Sums wrap and commute, hence no order. Children differ in their step, hence in their paths. A
// return of -0.0 counts as 0.0. Not a guard against forgers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "w2stree/base/execution.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/text/text_table.hpp"

namespace w2stree {

using Digest = std::array<std::uint64_t, 2>;

/// By text. Interruptible.
std::vector<Digest> hash_texts(const TextTable& table, const Execution& execution = {});

/// Spans have a hash for each tree, action id and observation id: InvalidInput otherwise.
/// O(num_nodes).
Digest digest(const Forest& forest, std::span<const Digest> task, std::span<const Digest> action,
              std::span<const Digest> observation, const Execution& execution = {});

}  // namespace w2stree
