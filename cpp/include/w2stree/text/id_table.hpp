// Which id a key has, by its hash: an open-addressing table that holds no keys.
//
//   hash      …a3 ──┐ first slot tried                 8 bytes a slot, at most half of them full
//   slot      0     1        2        3
//   tag, id   -     …a3, 0   …a2, 1   -                a full slot: try the next one
//
// Keys live with the caller, who says whether the key of an id is the one looked for. Hashes
// decide where a search looks, never which id a key gets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "w2stree/base/errors.hpp"
#include "w2stree/base/ids.hpp"

namespace w2stree {

/// Asks for a cache line ahead of its use.
inline void prefetch(const void* address) {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(address);
#else
  (void)address;
#endif
}

class IdTable {
 public:
  std::int32_t size() const { return size_; }

  /// The id whose key has this hash and satisfies equal(id); if none, the key is new and gets
  /// the next id, which is size() before the call.
  template <class Equal>
  std::int32_t find_or_add(std::uint64_t hash, const Equal& equal) {
    const auto tag = static_cast<std::uint32_t>(hash);
    std::size_t place = tag & mask_;
    while (slots_[place].id != kNone) {
      if (slots_[place].tag == tag && equal(slots_[place].id)) return slots_[place].id;
      place = (place + 1) & mask_;
    }
    return add(tag, place);
  }

  void prefetch_slot(std::uint64_t hash) const {
    prefetch(&slots_[static_cast<std::uint32_t>(hash) & mask_]);
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::int32_t id = kNone;
  };

  std::int32_t add(std::uint32_t tag, std::size_t place) {
    if (size_ == kMaxId) refuse("more than ", kMaxId, " distinct texts");
    slots_[place] = {tag, size_};
    if (2 * at(++size_) > slots_.size()) grow();
    return size_ - 1;
  }

  // Tags are 32 bits, so slots are found anew without the keys.
  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.id == kNone) continue;
      std::size_t place = slot.tag & mask_;
      while (slots_[place].id != kNone) place = (place + 1) & mask_;
      slots_[place] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(64);  // a power of two
  std::size_t mask_ = 63;
  std::int32_t size_ = 0;
};

}  // namespace w2stree
