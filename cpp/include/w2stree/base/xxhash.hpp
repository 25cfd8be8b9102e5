// XXH64 by Yann Collet, as published (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md):
// a checksum at the speed of memory, the same on every platform. Not a guard against forgers.
//
//   input   |── stripe of 32 ──|── stripe of 32 ──| … | words of 8 | word of 4 | bytes |
//   lanes    v0   v1   v2   v3   v0   v1   v2   v3      └──────────── tail ───────────┘
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace w2stree {

class Xxh64 {
 public:
  explicit Xxh64(std::uint64_t seed = 0)
      : seed_(seed), lane_{seed + kPrime1 + kPrime2, seed + kPrime2, seed, seed - kPrime1} {}

  /// Every piece but the one given to finish() is a multiple of 32 bytes long.
  void update(std::span<const std::byte> piece) {
    auto [v0, v1, v2, v3] = lane_;
    for (const std::byte *p = piece.data(), *end = p + piece.size(); p != end; p += 32) {
      v0 = round(v0, word64(p));
      v1 = round(v1, word64(p + 8));
      v2 = round(v2, word64(p + 16));
      v3 = round(v3, word64(p + 24));
    }
    lane_ = {v0, v1, v2, v3};
    length_ += piece.size();
  }

  /// The hash of all pieces and `rest`, which has any length.
  std::uint64_t finish(std::span<const std::byte> rest = {}) {
    const std::size_t stripes = rest.size() / 32 * 32;
    update(rest.first(stripes));
    rest = rest.subspan(stripes);
    std::uint64_t hash = (length_ >= 32 ? merged_lanes() : seed_ + kPrime5);
    hash += length_ + rest.size();
    for (; rest.size() >= 8; rest = rest.subspan(8)) hash = mix(hash, word64(rest.data()));
    if (rest.size() >= 4) {
      hash = std::rotl(hash ^ word32(rest.data()) * kPrime1, 23) * kPrime2 + kPrime3;
      rest = rest.subspan(4);
    }
    for (const std::byte byte : rest) {
      hash = std::rotl(hash ^ std::to_integer<std::uint64_t>(byte) * kPrime5, 11) * kPrime1;
    }
    return avalanche(hash);
  }

  /// One more word of 8 bytes into a hash.
  static std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
    return std::rotl(hash ^ round(0, word), 27) * kPrime1 + kPrime4;
  }

  /// Every bit of the argument changes every bit of the result with probability about 1/2.
  static std::uint64_t avalanche(std::uint64_t hash) {
    hash = (hash ^ hash >> 33) * kPrime2;
    hash = (hash ^ hash >> 29) * kPrime3;
    return hash ^ hash >> 32;
  }

 private:
  struct Lanes {
    std::uint64_t v0, v1, v2, v3;
  };

  static constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87u;
  static constexpr std::uint64_t kPrime2 = 0xC2B2AE3D27D4EB4Fu;
  static constexpr std::uint64_t kPrime3 = 0x165667B19E3779F9u;
  static constexpr std::uint64_t kPrime4 = 0x85EBCA77C2B2AE63u;
  static constexpr std::uint64_t kPrime5 = 0x27D4EB2F165667C5u;

  static std::uint64_t round(std::uint64_t lane, std::uint64_t word) {
    return std::rotl(lane + word * kPrime2, 31) * kPrime1;
  }

  std::uint64_t merged_lanes() const {
    const auto [v0, v1, v2, v3] = lane_;
    std::uint64_t hash =
        std::rotl(v0, 1) + std::rotl(v1, 7) + std::rotl(v2, 12) + std::rotl(v3, 18);
    for (const std::uint64_t lane : {v0, v1, v2, v3}) {
      hash = (hash ^ round(0, lane)) * kPrime1 + kPrime4;
    }
    return hash;
  }

  // Words are little-endian by definition, on every host.
  template <class Word>
  static Word little_endian(const std::byte* p) {
    Word word;
    std::memcpy(&word, p, sizeof word);
    if constexpr (std::endian::native == std::endian::big) {
      Word swapped = 0;
      for (std::size_t i = 0; i < sizeof word; ++i, word >>= 8)
        swapped = swapped << 8 | (word & 255);
      return swapped;
    }
    return word;
  }
  static std::uint64_t word64(const std::byte* p) { return little_endian<std::uint64_t>(p); }
  static std::uint64_t word32(const std::byte* p) { return little_endian<std::uint32_t>(p); }

  std::uint64_t seed_;
  Lanes lane_;
  std::uint64_t length_ = 0;
};

inline std::uint64_t xxh64(std::span<const std::byte> bytes, std::uint64_t seed = 0) {
  return Xxh64(seed).finish(bytes);
}

}  // namespace w2stree
