// Whatever the core numbers (texts, nodes, trajectories) it numbers from 0, in 32 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace w2stree {

inline constexpr std::int32_t kNone = -1;  // where there is no id
inline constexpr std::int64_t kMaxId = std::numeric_limits<std::int32_t>::max();

/// An id, or a count of what has ids, as arrays are indexed.
inline std::size_t at(std::int32_t id) {
  return static_cast<std::size_t>(id);
}

}  // namespace w2stree
