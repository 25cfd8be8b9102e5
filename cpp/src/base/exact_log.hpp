// The natural logarithm, correctly rounded.
#pragma once

namespace w2stree {

/// The double nearest to log(x), ties to even, for a finite x >= 1. The standard library's log
/// may be off by one in the last bit and differs between machines, which flips near ties of the
/// search; this one is integer arithmetic alone. About 2 microseconds.
double exact_log(double x);

}  // namespace w2stree
