// When two returns are equal. They are decimals written as doubles and sums of such: 0.3 - 0.2 is
// less than 0.1 and ten times 0.1 less than 1 by rounding alone.
#pragma once

namespace w2stree {

/// How far a return may be from `value` and count as equal.
inline double return_tolerance(double value) {
  const double size = value < 0 ? -value : value;
  return 1e-12 * (size > 1000.0 ? size : 1000.0);
}

/// Whether value >= threshold, or equal but for rounding. NaN is at least nothing.
inline bool is_at_least(double value, double threshold) {
  return value >= threshold - return_tolerance(threshold);
}

}  // namespace w2stree
