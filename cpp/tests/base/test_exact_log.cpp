#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/exact_log.hpp"
#include "support/check.hpp"

namespace w2stree::test {
namespace {

void rounds_correctly() {
  CHECK(exact_log(1.0) == 0.0);
  CHECK(exact_log(1.0 + 1e-12) == 0x1.197fffffff654p-40);
  CHECK(exact_log(1.0 + 0x1p-52) == 0x1.fffffffffffffp-53);
  CHECK(exact_log(2.0) == 0x1.62e42fefa39efp-1);
  CHECK(exact_log(2.0 + 1e-12) == 0x1.62e42fefa4b87p-1);
}

// What decimal arithmetic of 60 digits says, in Python:
//
//   counts = [*range(1, 20001), *(2**k + d for k in range(15, 64) for d in (-1, 0, 1))]
//   digest = 14695981039346656037
//   for count in counts:
//       log = float(Decimal(count + 1e-12).ln())
//       digest = (digest ^ int.from_bytes(struct.pack("<d", log), "little")) * 1099511628211 %
//       2**64
void equals_decimal_arithmetic() {
  std::uint64_t digest = 14695981039346656037U;
  const auto add = [&](double count) {
    digest = (digest ^ std::bit_cast<std::uint64_t>(exact_log(count + 1e-12))) * 1099511628211U;
  };
  for (int count = 1; count <= 20000; ++count) add(count);
  for (int k = 15; k < 64; ++k) {
    for (const int d : {-1, 0, 1}) {
      add(static_cast<double>((std::uint64_t{1} << k) + static_cast<std::uint64_t>(d)));
    }
  }
  CHECK(digest == 0xd212f3f4f1b10db1U);
}

void is_what_the_library_says_but_for_the_last_bit() {
  std::uint64_t num_different = 0;
  const auto compare = [&](double x) {
    const double known = std::log(x);
    const double found = exact_log(x);
    if (found == known) return;
    ++num_different;
    CHECK(std::nextafter(known, found) == found);
  };
  for (int count = 1; count <= 20000; ++count) compare(count + 1e-12);
  for (int exponent = 0; exponent < 1024; ++exponent) {
    compare(std::ldexp(1.0, exponent));
    compare(std::nextafter(std::ldexp(1.0, exponent), 1.0 + exponent * 1e300));
    compare(std::ldexp(1.0, exponent) + 1e-12);
  }
  for (double x = 1.5; x < 1e300; x *= 1.37) compare(x);
  compare(0x1p53 - 1);
  compare(0x1p53 + 2);
  compare(std::numeric_limits<double>::max());
  CHECK(num_different < 100);
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run(
      {rounds_correctly, equals_decimal_arithmetic, is_what_the_library_says_but_for_the_last_bit});
}
