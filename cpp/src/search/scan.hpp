// The greatest of many scores, several at a time.
#pragma once

#include <cstddef>

namespace w2stree {

struct Scan {
  double best;           // greatest of intercept[i] + x * slope[i]
  std::size_t num_near;  // how many come within `reach` of the best, itself included
  std::size_t near;      // the first of them
};

/// Lines intercept[i] + x * slope[i], i < size, evaluated at x. Where something is not a number
/// or `reach` is infinite, everything counts as near. Multiplies and adds like scalar code does,
/// whatever the width of the machine's registers.
Scan scan(const double* intercept, const double* slope, std::size_t size, double x, double reach);

/// How much x may grow before a line that was near the one of index `near` gets more than `reach`
/// above it, or one that was not gets within `reach` below it; infinite if none ever does.
double time_to_meet(const double* intercept, const double* slope, std::size_t size, double x,
                    double reach, std::size_t near);

}  // namespace w2stree
