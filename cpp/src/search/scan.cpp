#include "search/scan.hpp"

#include <cstring>
#include <limits>

#if defined(__GNUC__)
#define W2STREE_INLINE [[gnu::always_inline]] inline  // into code for one machine or another
#else
#define W2STREE_INLINE inline
#endif

namespace w2stree {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Lanes is a double or a vector of them; operators, ?: included, work lane by lane. Two at a
// time, because one comparison takes longer than the machine needs to start the next.
template <class Lanes>
W2STREE_INLINE Scan scan_by(const double* intercept, const double* slope, std::size_t size,
                            double x, double reach) {
  constexpr std::size_t width = sizeof(Lanes) / sizeof(double);
  const std::size_t end = size - size % (2 * width);
  const Lanes zero = {};
  Lanes a;
  Lanes b;

  Lanes best[2] = {zero - kInfinity, zero - kInfinity};
  for (std::size_t i = 0; i < end; i += 2 * width) {
    for (std::size_t half = 0; half < 2; ++half) {
      std::memcpy(&a, intercept + i + half * width, sizeof a);
      std::memcpy(&b, slope + i + half * width, sizeof b);
      const Lanes score = a + b * x;
      best[half] = score > best[half] ? score : best[half];
    }
  }
  best[0] = best[0] > best[1] ? best[0] : best[1];
  Scan found = {-kInfinity, 0, 0};
  double lanes[width];
  std::memcpy(lanes, best, sizeof lanes);
  for (const double value : lanes) found.best = value > found.best ? value : found.best;
  for (std::size_t i = end; i < size; ++i) {
    const double score = intercept[i] + x * slope[i];
    found.best = score > found.best ? score : found.best;
  }

  // How many are near, and the sum of their indices: with one, that is its index.
  const double threshold = found.best - reach;
  const Lanes one = zero + 1.0;
  for (std::size_t lane = 0; lane < width; ++lane) lanes[lane] = static_cast<double>(lane);
  Lanes index[2];
  std::memcpy(index, lanes, sizeof lanes);
  index[1] = index[0] + static_cast<double>(width);
  Lanes num_near[2] = {zero, zero};
  Lanes sum[2] = {zero, zero};
  for (std::size_t i = 0; i < end; i += 2 * width) {
    for (std::size_t half = 0; half < 2; ++half) {
      std::memcpy(&a, intercept + i + half * width, sizeof a);
      std::memcpy(&b, slope + i + half * width, sizeof b);
      const Lanes score = a + b * x;
      num_near[half] += score < zero + threshold ? zero : one;
      sum[half] += score < zero + threshold ? zero : index[half];
      index[half] += static_cast<double>(2 * width);
    }
  }
  num_near[0] += num_near[1];
  sum[0] += sum[1];
  std::memcpy(lanes, num_near, sizeof lanes);
  double count = 0.0;
  for (const double value : lanes) count += value;
  std::memcpy(lanes, sum, sizeof lanes);
  double near = 0.0;
  for (const double value : lanes) near += value;
  for (std::size_t i = end; i < size; ++i) {
    if (intercept[i] + x * slope[i] < threshold) continue;
    count += 1.0;
    near += static_cast<double>(i);
  }
  found.num_near = static_cast<std::size_t>(count);
  if (found.num_near == 1) {
    found.near = static_cast<std::size_t>(near);
  } else {
    while (found.near + 1 < size && intercept[found.near] + x * slope[found.near] < threshold) {
      ++found.near;
    }
  }
  return found;
}

template <class Lanes>
W2STREE_INLINE double time_to_meet_by(const double* intercept, const double* slope,
                                      std::size_t size, double x, double reach, std::size_t near) {
  constexpr std::size_t width = sizeof(Lanes) / sizeof(double);
  const std::size_t end = size - size % width;
  const double score = intercept[near] + x * slope[near];
  const Lanes zero = {};
  Lanes a;
  Lanes b;
  Lanes least = zero + kInfinity;
  for (std::size_t i = 0; i < end; i += width) {
    std::memcpy(&a, intercept + i, sizeof a);
    std::memcpy(&b, slope + i, sizeof b);
    const Lanes gap = score - (a + b * x);
    const Lanes closing = b - slope[near];
    const Lanes room = gap > zero + reach ? gap - reach : gap + reach;
    const Lanes time = room / (closing > zero ? closing : zero);  // x / 0 is infinite
    least = time < least ? time : least;
  }
  double lanes[width];
  std::memcpy(lanes, &least, sizeof lanes);
  double result = kInfinity;
  for (const double time : lanes) result = time < result ? time : result;
  for (std::size_t i = end; i < size; ++i) {
    const double gap = score - (intercept[i] + x * slope[i]);
    const double closing = slope[i] - slope[near];
    if (!(closing > 0.0)) continue;
    const double time = (gap > reach ? gap - reach : gap + reach) / closing;
    result = time < result ? time : result;
  }
  return result;
}

// As many lanes as the machine has.
#if defined(__GNUC__) && defined(__x86_64__)

using Lanes2 [[gnu::vector_size(16)]] = double;
using Lanes4 [[gnu::vector_size(32)]] = double;

Scan scan_sse2(const double* intercept, const double* slope, std::size_t size, double x,
               double reach) {
  return scan_by<Lanes2>(intercept, slope, size, x, reach);
}

double time_to_meet_sse2(const double* intercept, const double* slope, std::size_t size, double x,
                         double reach, std::size_t near) {
  return time_to_meet_by<Lanes2>(intercept, slope, size, x, reach, near);
}

[[gnu::target("avx2")]] Scan scan_avx2(const double* intercept, const double* slope,
                                       std::size_t size, double x, double reach) {
  return scan_by<Lanes4>(intercept, slope, size, x, reach);
}

[[gnu::target("avx2")]] double time_to_meet_avx2(const double* intercept, const double* slope,
                                                 std::size_t size, double x, double reach,
                                                 std::size_t near) {
  return time_to_meet_by<Lanes4>(intercept, slope, size, x, reach, near);
}

const bool has_avx2 = [] {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}();
const auto scan_here = has_avx2 ? scan_avx2 : scan_sse2;
const auto time_to_meet_here = has_avx2 ? time_to_meet_avx2 : time_to_meet_sse2;

#else

constexpr auto scan_here = scan_by<double>;
constexpr auto time_to_meet_here = time_to_meet_by<double>;

#endif

}  // namespace

Scan scan(const double* intercept, const double* slope, std::size_t size, double x, double reach) {
  return scan_here(intercept, slope, size, x, reach);
}

double time_to_meet(const double* intercept, const double* slope, std::size_t size, double x,
                    double reach, std::size_t near) {
  return time_to_meet_here(intercept, slope, size, x, reach, near);
}

}  // namespace w2stree
