#include <algorithm>
#include <cstdint>
#include <unordered_set>

#include "base/keyed_hash.hpp"
#include "support/check.hpp"

namespace w2stree::test {
namespace {

// How many of 2^14 words have one of 2^16 first or last halves of their own; by chance some 14,500.
template <class Word>
std::size_t num_spread(Word word) {
  std::unordered_set<std::uint64_t> first;
  std::unordered_set<std::uint64_t> last;
  for (std::uint64_t i = 0; i < 1 << 14; ++i) {
    const std::uint64_t hash = word(i);
    first.insert(hash >> 48);
    last.insert(hash & 0xffff);
  }
  return std::min(first.size(), last.size());
}

void spreads_words() {
  constexpr std::uint64_t kInverse = 0xf1de83e19937733du;  // of 0x9e3779b97f4a7c15, mod 2^64
  static_assert(kInverse * 0x9e3779b97f4a7c15u == 1);
  CHECK(num_spread([](std::uint64_t i) { return hash_words(i, 0); }) > 14'000);
  CHECK(num_spread([](std::uint64_t i) { return hash_words(i << 48, 0); }) > 14'000);
  // Each word beside them makes another factor: no key may be a bad one.
  for (std::uint64_t other = 0; other < 64; ++other) {
    CHECK(num_spread([=](std::uint64_t i) { return hash_words(other, i); }) > 14'000);
    CHECK(num_spread([=](std::uint64_t i) { return hash_words(i, other); }) > 14'000);
  }
  // Products that are small numbers under Fibonacci hashing, where all would share a slot.
  CHECK(num_spread([](std::uint64_t i) { return hash_words(i * kInverse, 0); }) > 14'000);
}

void has_a_key() {
  std::unordered_set<std::uint64_t> words;
  for (const std::uint64_t word : kHashKey) {
    CHECK(word % 2 == 1);
    words.insert(word);
  }
  CHECK(words.size() == kHashKey.size());
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({spreads_words, has_a_key});
}
