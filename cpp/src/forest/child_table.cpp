#include "forest/child_table.hpp"

#include "base/keyed_hash.hpp"

namespace w2stree {
namespace {

std::size_t hash(std::int32_t fork, std::int32_t action, std::int32_t observation) {
  const auto bits = [](std::int32_t id) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(id));
  };
  return static_cast<std::size_t>(hash_words(bits(action) << 32 | bits(observation), bits(fork)));
}

}  // namespace

std::size_t ChildTable::position(std::int32_t fork, std::int32_t action,
                                 std::int32_t observation) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = hash(fork, action, observation) & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    const bool is_key =
        slot.fork == fork && slot.action == action && slot.observation == observation;
    if (slot.child == kNone || is_key) return i;
  }
}

void ChildTable::grow() {
  std::vector<Slot> old(slots_.empty() ? 64 : 2 * slots_.size());
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.child != kNone) slots_[position(slot.fork, slot.action, slot.observation)] = slot;
  }
}

}  // namespace w2stree
