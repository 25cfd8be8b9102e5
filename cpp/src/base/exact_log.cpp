#include "base/exact_log.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace w2stree {
namespace {

// A number in [0, 2^32): limb[6] is the integer part, the limbs below 192 bits of fraction.
//
// That is enough to round correctly: log(x) >= 2^-53 for doubles x > 1, no logarithm of a double
// lies closer to the midpoint of two doubles than 2^-118 of itself (the known worst case), and
// the series below is off by less than 2^-180 < 2^-53-118.
constexpr std::size_t kLimbs = 7;
using Fixed = std::array<std::uint32_t, kLimbs>;

constexpr int kFractionBits = 192;

// ln 2 = 0.B17217F7 D1CF79AB C9E3B398 03F2F6AF 40F34326 7298B62D…, lowest limb first.
constexpr Fixed kLog2 = {0x7298B62D, 0x40F34326, 0x03F2F6AF, 0xC9E3B398, 0xD1CF79AB, 0xB17217F7, 0};

constexpr Fixed add(const Fixed& left, const Fixed& right) {
  Fixed sum;
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < kLimbs; ++i) {
    carry += std::uint64_t{left[i]} + right[i];
    sum[i] = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  return sum;
}

Fixed subtract(const Fixed& left, const Fixed& right) {  // left >= right
  Fixed difference;
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < kLimbs; ++i) {
    const std::uint64_t limb = std::uint64_t{left[i]} - right[i] - borrow;
    difference[i] = static_cast<std::uint32_t>(limb);
    borrow = limb >> 63;
  }
  return difference;
}

Fixed multiply(const Fixed& left, const Fixed& right) {  // truncates
  std::array<std::uint32_t, 2 * kLimbs> product = {};
  for (std::size_t i = 0; i < kLimbs; ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; j < kLimbs; ++j) {
      carry += std::uint64_t{left[i]} * right[j] + product[i + j];
      product[i + j] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    product[i + kLimbs] = static_cast<std::uint32_t>(carry);
  }
  Fixed kept;
  for (std::size_t i = 0; i < kLimbs; ++i) kept[i] = product[i + kLimbs - 1];
  return kept;
}

constexpr Fixed divide(const Fixed& value, std::uint32_t divisor) {  // truncates
  Fixed quotient = {};
  std::uint64_t remainder = 0;
  for (std::size_t i = kLimbs; i-- > 0;) {
    remainder = remainder << 32 | value[i];
    quotient[i] = static_cast<std::uint32_t>(remainder / divisor);
    remainder %= divisor;
  }
  return quotient;
}

// numerator / denominator, below 1; both below 2^63. Long division, bit by bit.
Fixed ratio(std::uint64_t numerator, std::uint64_t denominator) {
  Fixed quotient = {};
  std::uint64_t remainder = numerator;
  for (int bit = kFractionBits - 1; bit >= 0; --bit) {
    remainder <<= 1;
    if (remainder < denominator) continue;
    remainder -= denominator;
    quotient[static_cast<std::size_t>(bit / 32)] |= std::uint32_t{1} << bit % 32;
  }
  return quotient;
}

// 2/1, 2/3, 2/5, …
constexpr std::size_t kTerms = 38;
constexpr std::array<Fixed, kTerms> kCoefficients = [] {
  std::array<Fixed, kTerms> coefficients = {};
  for (std::uint32_t i = 0; i < kTerms; ++i) {
    coefficients[i] = divide({0, 0, 0, 0, 0, 0, 2}, 2 * i + 1);
  }
  return coefficients;
}();

// 2 artanh(s) = s (2 + 2/3 s^2 + 2/5 s^4 + …) for s < 0.1716, where 38 terms leave less than
// 2^-190.
Fixed twice_artanh(const Fixed& s) {
  const Fixed square = multiply(s, s);
  Fixed sum = kCoefficients[kTerms - 1];
  for (std::size_t i = kTerms - 1; i-- > 0;) {
    sum = add(multiply(sum, square), kCoefficients[i]);
  }
  return multiply(s, sum);
}

// The nearest double, ties to even (none is met: logarithms of doubles but 1 are irrational).
double round(const Fixed& value) {
  std::size_t top = kLimbs;
  while (top > 0 && value[top - 1] == 0) --top;
  if (top == 0) return 0.0;
  // The three limbs from the first that is not 0 hold at least 65 bits: 53 and what rounds them.
  const auto limb = [&](std::size_t down) { return top > down ? value[top - 1 - down] : 0U; };
  const int shift = std::countl_zero(limb(0));
  std::uint64_t bits = std::uint64_t{limb(0)} << 32 | limb(1);
  if (shift > 0) bits = bits << shift | limb(2) >> (32 - shift);
  std::uint64_t below = shift > 0 ? limb(2) << shift : limb(2);
  for (std::size_t down = 3; down < top; ++down) below |= limb(down);
  constexpr std::uint64_t half = std::uint64_t{1} << 10;  // 64 bits: 53 are kept
  const std::uint64_t rest = bits % (2 * half);
  std::uint64_t kept = bits / (2 * half);
  if (rest > half || (rest == half && (below != 0 || kept % 2 == 1))) ++kept;
  const int exponent = 32 * static_cast<int>(top) - shift - 53 - kFractionBits;
  return std::ldexp(static_cast<double>(kept), exponent);
}

}  // namespace

// log(m 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)), m in [sqrt(1/2), sqrt(2)).
double exact_log(double x) {
  constexpr std::uint64_t one = std::uint64_t{1} << 53;
  constexpr std::uint64_t sqrt_half = 0x16A09E667F3BCC;  // times 2^53, rounded down
  int exponent = 0;
  auto m = static_cast<std::uint64_t>(std::ldexp(std::frexp(x, &exponent), 53));  // [1/2, 1)
  if (m <= sqrt_half) {
    m *= 2;
    --exponent;
  }
  Fixed whole = {};  // e ln 2; e < 1024
  for (int bit = 10; bit >= 0; --bit) {
    whole = add(whole, whole);
    if (exponent >> bit & 1) whole = add(whole, kLog2);
  }
  const Fixed part = twice_artanh(ratio(m < one ? one - m : m - one, m + one));
  return round(m < one ? subtract(whole, part) : add(whole, part));
}

}  // namespace w2stree
