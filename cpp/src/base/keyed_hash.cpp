#include "base/keyed_hash.hpp"

#include <chrono>
#include <exception>
#include <random>

#include "base/random.hpp"

namespace w2stree {
namespace {

std::array<std::uint64_t, 8> draw_key() noexcept {
  std::array<std::uint64_t, 8> key;
  try {
    std::random_device device;  // the system's
    for (std::uint64_t& word : key) word = std::uint64_t{device()} << 32 | device() | 1;
  } catch (const std::exception&) {  // it has none: better some key than no library
    const auto now = std::chrono::high_resolution_clock::now().time_since_epoch().count();
    Random random(static_cast<std::uint64_t>(now), reinterpret_cast<std::uintptr_t>(&key));
    for (std::uint64_t& word : key) word = random.next() | 1;
  }
  return key;
}

}  // namespace

const std::array<std::uint64_t, 8> kHashKey = draw_key();

}  // namespace w2stree
