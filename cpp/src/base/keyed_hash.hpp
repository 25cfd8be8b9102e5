// Hashing of what comes from outside, by a key that nobody outside can know.
//
// Without a secret whoever writes the logs can choose texts, returns or steps that all fall into
// one slot of a table, and make a linear build quadratic. The key is drawn once a process, so the
// same texts are spread differently each time; ids follow first appearance, so no result shows it.
//
// fold() is the step of wyhash. Unlike SipHash it comes without a proof: that texts do not collide
// for most keys at once is what years of looking for such texts suggest. Those known are made
// from the key. SipHash takes several times as long on texts of 10 to 80 bytes.
#pragma once

#include <array>
#include <cstdint>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace w2stree {

/// Both halves of a 128-bit product, folded: every bit of the inputs reaches the result. Multiples
/// of one factor may lie close together: an even one shifts them.
inline std::uint64_t fold(std::uint64_t left, std::uint64_t right) {
#if defined(_MSC_VER) && !defined(__clang__)
  std::uint64_t high = 0;
  const std::uint64_t low = _umul128(left, right, &high);
  return low ^ high;
#else
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(left) * right;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#endif
}

/// Odd and random, drawn when the library is loaded.
extern const std::array<std::uint64_t, 8> kHashKey;

/// Folded twice: of a column in which one word hardly changes, the key alone would decide whether
/// the first fold spreads the other.
inline std::uint64_t hash_words(std::uint64_t left, std::uint64_t right) {
  return fold(fold(left ^ kHashKey[0], right ^ kHashKey[1]) ^ kHashKey[2], kHashKey[3]);
}

}  // namespace w2stree
