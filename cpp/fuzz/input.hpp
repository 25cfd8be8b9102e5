// What the fuzz targets share: taking an input apart, and giving up when something is broken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <span>

namespace w2stree {

inline void expect(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

// Takes an input apart; zeros once it is used up.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> rest) : rest_(rest) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t first = rest_.front();
    rest_ = rest_.subspan(1);
    return first;
  }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }
  std::span<const std::uint8_t> rest() const { return rest_; }

  // One of an array of values.
  template <class Values>
  auto one_of(const Values& values) {
    return values[byte() % std::size(values)];
  }

 private:
  std::span<const std::uint8_t> rest_;
};

}  // namespace w2stree
