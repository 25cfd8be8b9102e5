// Finds a child by its first step where a scan over siblings would be long.
#pragma once

#include <cstdint>
#include <vector>

#include "w2stree/base/ids.hpp"

namespace w2stree {

/// (fork, action, observation) -> child, for the forks of one tree that have many children.
/// Open addressing with linear probes, at most half full.
class ChildTable {
 public:
  void clear() {
    if (size_ > 0) slots_.assign(slots_.size(), Slot{});
    size_ = 0;
    num_actions_.clear();
  }

  std::int32_t new_fork() {
    num_actions_.push_back(0);
    return static_cast<std::int32_t>(num_actions_.size()) - 1;
  }

  /// Distinct actions among the children of a fork.
  std::int32_t num_actions(std::int32_t fork) const { return num_actions_[at(fork)]; }

  /// kNone where there is none.
  std::int32_t find(std::int32_t fork, std::int32_t action, std::int32_t observation) const {
    return slots_.empty() ? kNone : slots_[position(fork, action, observation)].child;
  }

  void insert(std::int32_t fork, std::int32_t action, std::int32_t observation,
              std::int32_t child) {
    put({fork, action, observation, child});
    num_actions_[at(fork)] += put({fork, action, kNone, child}) ? 1 : 0;  // under the action alone
  }

 private:
  struct Slot {
    std::int32_t fork = kNone;
    std::int32_t action = kNone;
    std::int32_t observation = kNone;
    std::int32_t child = kNone;
  };

  // Whether the key is new.
  bool put(const Slot& entry) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[position(entry.fork, entry.action, entry.observation)];
    const bool is_new = slot.child == kNone;
    size_ += is_new ? 1 : 0;
    slot = entry;
    return is_new;
  }

  // Where the key is, or the free slot where it would go. Not inlined: few trees have a fork with
  // many children, and the loop along a label, where the time goes, is faster without it.
  std::size_t position(std::int32_t fork, std::int32_t action, std::int32_t observation) const;
  void grow();

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  std::vector<std::int32_t> num_actions_;  // by fork
};

}  // namespace w2stree
