// The one place that owns threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace w2stree {

/// Calls work(i) for i in [0, count), each once, on up to num_threads threads (the caller's is
/// one of them). Calls must not depend on one another. Rethrows the first exception caught,
/// after every thread has ended.
template <class Work>
void parallel_for(std::int32_t count, std::int32_t num_threads, const Work& work) {
  std::atomic<std::int64_t> next = 0;  // wider than count: every thread overshoots by one
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto drain = [&] {
    try {
      for (std::int64_t i = next++; i < count; i = next++) work(static_cast<std::int32_t>(i));
    } catch (...) {
      const std::scoped_lock lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    const std::int32_t num_helpers = std::min(num_threads, count) - 1;
    for (std::int32_t i = 0; i < num_helpers; ++i) helpers.emplace_back(drain);
    drain();
  }  // joins
  if (failure) std::rethrow_exception(failure);
}

}  // namespace w2stree
