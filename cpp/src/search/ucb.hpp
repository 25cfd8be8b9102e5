// Upper confidence bounds (Eq. 7): a fast score, and how far it may be from the score as defined.
//
// As defined, in IEEE doubles, every operation rounded to nearest, log rounded correctly:
//
//     score = r/c + exploration * sqrt(log(C + 1e-12) / c)          STOP beside children: r/c
//
// Fast, all factors from tables over counts, so that one multiplication and one addition remain:
//
//     fast = estimate + bonus(C) * inverse_sqrt(c),    estimate = r * inverse(c)     STOP: 0 for it
//
// With u = 2^-53, m = r/c and b = exploration * sqrt(log(C + 1e-12) / c) not rounded, and to first
// order in u, the two are off m + b by at most
//
//     score:  r/c                                                         1 |m| u
//             log 1/2, / 1/2 (both under the root), sqrt 1, * 1                     3 b u
//             +                                                           1 |m| u + 1 b u
//     fast:   inverse 1, * 1                                              2 |m| u
//             bonus: log 4 (the library's, allowed 8 under the root), sqrt 1, * 1
//             inverse_sqrt: sqrt 1, / 1;  their product 1                           9 b u
//             +                                                           1 |m| u + 1 b u
//     ────────────────────────────────────────────────────────────────────────────────────
//     together                                                            5 |m| u + 14 b u
//
// so two arms whose fast scores differ by more than 28 u (max |m| + max b) are in the right order.
// |m| <= scale, the greatest |value| that a descent into the tree can back up so far, and
// b <= bonus(C). The tolerance is more than twice what that gives,
//
//     tolerance = 2^-47 (scale + bonus(C)) + 2^-1000 = 64 u (scale + bonus(C)) + 2^-1000,
//
// which leaves room for the second order, for the roundings inside r (c u |m| at most, for c below
// 2^50), of the difference and of the bonus itself, and for subnormal numbers. Where scale or bonus
// comes near overflow the tolerance is infinite: nothing is assumed.
//
// Best and runner-up further apart than the tolerance: the best is right. Otherwise the arms
// within it are compared as defined. For backup "max" the estimate is exact: all the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace w2stree {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNearOverflow = 0x1p900;  // sums of that many and more may be infinite

/// What the fast score needs of a count n >= 1; the smaller counts from a table.
class CountTable {
 public:
  static constexpr std::int64_t kMostTabulated = std::int64_t{1} << 16;

  CountTable(double exploration, std::int64_t greatest_count) : exploration_(exploration) {
    const std::int64_t size = std::min(greatest_count, kMostTabulated - 1) + 1;
    inverse_.assign(static_cast<std::size_t>(size), 0.0);
    inverse_sqrt_ = bonus_ = inverse_;
    for (std::int64_t n = 1; n < size; ++n) {
      inverse_[static_cast<std::size_t>(n)] = compute_inverse(n);
      inverse_sqrt_[static_cast<std::size_t>(n)] = compute_inverse_sqrt(n);
      bonus_[static_cast<std::size_t>(n)] = compute_bonus(n);
    }
  }

  /// Counts below this one are in the table.
  std::int64_t size() const { return static_cast<std::int64_t>(inverse_.size()); }

  double inverse(std::int64_t n) const {
    return n < size() ? inverse_[static_cast<std::size_t>(n)] : compute_inverse(n);
  }
  double inverse_sqrt(std::int64_t n) const {
    return n < size() ? inverse_sqrt_[static_cast<std::size_t>(n)] : compute_inverse_sqrt(n);
  }
  double bonus(std::int64_t n) const {
    return n < size() ? bonus_[static_cast<std::size_t>(n)] : compute_bonus(n);
  }

  /// The same, of counts in the table and of all: small enough for registers.
  struct Tabulated {
    const double* by_inverse;
    const double* by_inverse_sqrt;
    const double* by_bonus;

    double inverse(std::int64_t n) const { return by_inverse[n]; }
    double inverse_sqrt(std::int64_t n) const { return by_inverse_sqrt[n]; }
    double bonus(std::int64_t n) const { return by_bonus[n]; }
  };
  struct Computed {
    const CountTable& table;

    double inverse(std::int64_t n) const { return table.inverse(n); }
    double inverse_sqrt(std::int64_t n) const { return table.inverse_sqrt(n); }
    double bonus(std::int64_t n) const { return table.bonus(n); }
  };
  Tabulated tabulated() const { return {inverse_.data(), inverse_sqrt_.data(), bonus_.data()}; }
  Computed computed() const { return {*this}; }

 private:
  static double compute_inverse(std::int64_t n) { return 1.0 / static_cast<double>(n); }
  static double compute_inverse_sqrt(std::int64_t n) {
    return 1.0 / std::sqrt(static_cast<double>(n));
  }
  double compute_bonus(std::int64_t n) const {
    const double bonus = exploration_ * std::sqrt(std::log(static_cast<double>(n) + 1e-12));
    return bonus < kNearOverflow ? bonus : kInfinity;
  }

  double exploration_;
  std::vector<double> inverse_;
  std::vector<double> inverse_sqrt_;
  std::vector<double> bonus_;
};

class Tolerance {
 public:
  /// A value that may be backed up from now on.
  void admit(double value) {
    scale_ = std::max(scale_, std::abs(value));
    of_scale_ = scale_ < kNearOverflow ? 0x1p-47 * scale_ + 0x1p-1000 : kInfinity;
  }

  /// Around scores of this bonus.
  double operator()(double bonus) const { return 0x1p-47 * bonus + of_scale_; }

 private:
  double scale_ = 0.0;
  double of_scale_ = 0x1p-1000;
};

}  // namespace w2stree
