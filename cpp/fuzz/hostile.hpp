// Values that programs stumble over, and how often fuzz targets draw them.
#pragma once

#include <cstdint>
#include <limits>

#include "input.hpp"

namespace w2stree {

inline constexpr std::int64_t kMax64 = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t kMax32 = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kHostile[] = {
    -1, 0, 1, 255, 256, kMax32, -kMax32 - 1, kMax32 + 1, kMax64 - 3, kMax64, -kMax64 - 1};
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kReturns[] = {
    -0.0,   1e308,     -1e308,     5e-324, std::numeric_limits<double>::quiet_NaN(),
    -0.125, kInfinity, -kInfinity, 0.1};

// Most bytes choose something plain, so that most inputs get far.
inline bool is_hostile(std::uint8_t choice) {
  return choice >= 250;
}

inline double draw_return(Input& input) {
  const std::uint8_t choice = input.byte();
  return is_hostile(choice) ? input.one_of(kReturns) : choice / 8.0;
}

}  // namespace w2stree
