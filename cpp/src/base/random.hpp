// Random numbers that are the same on every platform (the standard library's distributions are
// not): xoshiro256** by Blackman and Vigna, seeded by splitmix64.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace w2stree {

class Random {
 public:
  /// Another stream for every key, as good as independent.
  Random(std::uint64_t seed, std::uint64_t key) {
    std::uint64_t state = split_mix(seed) + key;
    for (std::uint64_t& word : state_) word = split_mix(state);
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// Uniform in [0, bound), bound >= 1: as many bits as the bound has, again while too great.
  std::int64_t below(std::int64_t bound) {
    const auto num_bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(bound - 1)));
    if (num_bits == 0) return 0;
    std::int64_t value = bound;
    while (value >= bound) value = static_cast<std::int64_t>(next() >> (64 - num_bits));
    return value;
  }

 private:
  static std::uint64_t split_mix(std::uint64_t& state) {
    state += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  std::array<std::uint64_t, 4> state_;
};

}  // namespace w2stree
