#include <limits>
#include <random>
#include <vector>

#include "search/scan.hpp"
#include "support/check.hpp"

namespace w2stree::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Lines {
  std::vector<double> intercept;
  std::vector<double> slope;
};

// Few different values, so that some lines are equal.
Lines random_lines(std::size_t size, std::mt19937_64& random) {
  Lines lines;
  for (std::size_t i = 0; i < size; ++i) {
    lines.intercept.push_back(static_cast<double>(random() % 9) / 7.0);
    lines.slope.push_back(static_cast<double>(1 + random() % 5) / 3.0);
  }
  return lines;
}

void finds_the_best_and_what_is_near() {
  std::mt19937_64 random(7);
  for (std::size_t size = 1; size < 150; ++size) {
    const Lines lines = random_lines(size, random);
    const double x = static_cast<double>(random() % 100) / 30.0;
    for (const double reach : {0.0, 0.1, 1.0, kInfinity}) {
      double best = -kInfinity;
      for (std::size_t i = 0; i < size; ++i) {
        best = std::max(best, lines.intercept[i] + x * lines.slope[i]);
      }
      std::size_t num_near = 0;
      std::size_t near = size;
      for (std::size_t i = 0; i < size; ++i) {
        if (lines.intercept[i] + x * lines.slope[i] < best - reach) continue;
        if (num_near++ == 0) near = i;
      }
      const Scan found = scan(lines.intercept.data(), lines.slope.data(), size, x, reach);
      CHECK(found.best == best);
      CHECK(found.num_near == num_near);
      CHECK(found.near == near);
    }
  }
}

void counts_what_is_not_a_number_as_near() {
  std::vector<double> intercept(40, 1.0);
  const std::vector<double> slope(40, 1.0);
  intercept[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK(scan(intercept.data(), slope.data(), 40, 1.0, kInfinity).num_near == 40);
  intercept[5] = kInfinity;
  CHECK(scan(intercept.data(), slope.data(), 40, 1.0, kInfinity).num_near == 40);
  CHECK(scan(intercept.data(), slope.data(), 40, 1.0, kInfinity).near == 0);
}

void tells_when_lines_meet() {
  std::mt19937_64 random(8);
  for (std::size_t size = 1; size < 100; ++size) {
    const Lines lines = random_lines(size, random);
    const double x = static_cast<double>(random() % 100) / 30.0;
    constexpr double reach = 0.125;
    const std::size_t near = scan(lines.intercept.data(), lines.slope.data(), size, x, reach).near;
    double least = kInfinity;
    for (std::size_t i = 0; i < size; ++i) {
      const double gap =
          lines.intercept[near] + x * lines.slope[near] - (lines.intercept[i] + x * lines.slope[i]);
      const double closing = lines.slope[i] - lines.slope[near];
      if (closing > 0) {
        least = std::min(least, (gap > reach ? gap - reach : gap + reach) / closing);
      }
    }
    CHECK(time_to_meet(lines.intercept.data(), lines.slope.data(), size, x, reach, near) == least);
  }
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({finds_the_best_and_what_is_near, counts_what_is_not_a_number_as_near,
              tells_when_lines_meet});
}
