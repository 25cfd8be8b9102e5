// The one place that owns threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "w2stree/base/errors.hpp"
#include "w2stree/base/execution.hpp"
#include "w2stree/base/ids.hpp"

namespace w2stree {

/// What a worker asks now and then inside a long item: should it go on?
class Watch {
 public:
  Watch(const std::atomic<bool>& cancelled, const std::function<void()>* poll)
      : cancelled_(cancelled), poll_(poll) {}

  /// Throws when the call is to end early. Cheap enough for every few hundred nanoseconds.
  void check() {
    if (++num_checks_ % 16 != 0) return;
    if (poll_ != nullptr) (*poll_)();
    if (cancelled_.load(std::memory_order_relaxed)) throw Cancelled{};
  }

  struct Cancelled {};

 private:
  const std::atomic<bool>& cancelled_;
  const std::function<void()>* poll_;  // on the caller's thread only
  std::uint32_t num_checks_ = 0;
};

/// Number of workers parallel_for will use: they are numbered from 0.
inline std::int32_t num_workers(std::int32_t count, const Execution& execution) {
  if (execution.num_threads < 1) {
    refuse("num_threads=", execution.num_threads, "; expected at least 1");
  }
  return std::max(1, std::min(count, execution.num_threads));
}

/// Calls work(i, worker, watch) for i in [0, count), each once, on num_workers threads (the
/// caller's is worker 0). Calls must not depend on one another. Rethrows the first exception
/// caught, after every thread has ended.
template <class Work>
void parallel_for(std::int32_t count, const Execution& execution, const Work& work) {
  std::atomic<std::int64_t> next = 0;  // wider than count: every worker overshoots by one
  std::atomic<bool> cancelled = false;
  std::exception_ptr failure;
  std::mutex mutex;
  std::condition_variable ended;
  std::int32_t num_running = num_workers(count, execution) - 1;

  const auto fail = [&](std::exception_ptr cause) {
    const std::scoped_lock lock(mutex);
    if (!failure) failure = std::move(cause);
    cancelled = true;
  };
  const auto drain = [&](std::int32_t worker, Watch watch) {
    try {
      for (std::int64_t i = next++; i < count; i = next++) {
        watch.check();
        work(static_cast<std::int32_t>(i), worker, watch);
      }
    } catch (const Watch::Cancelled&) {  // the cause is known already
    } catch (...) {
      fail(std::current_exception());
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (std::int32_t worker = num_running; worker >= 1; --worker) {
      helpers.emplace_back([&, worker] {
        drain(worker, Watch(cancelled, nullptr));
        const std::scoped_lock lock(mutex);
        if (--num_running == 0) ended.notify_one();
      });
    }
    drain(0, Watch(cancelled, execution.poll ? &execution.poll : nullptr));
    std::unique_lock lock(mutex);
    while (num_running > 0) {  // the caller goes on polling while helpers finish
      ended.wait_for(lock, std::chrono::milliseconds(20));
      if (!execution.poll || cancelled) continue;
      lock.unlock();
      try {
        execution.poll();
      } catch (...) {
        fail(std::current_exception());
      }
      lock.lock();
    }
  }  // joins
  if (failure) std::rethrow_exception(failure);
}

/// parallel_for of work(begin, end) over [0, size) in blocks of so many, the last one shorter.
template <class Size, class Work>
void parallel_for_blocks(Size size, Size block, const Execution& execution, const Work& work) {
  const auto num_blocks = static_cast<std::int32_t>(size / block + (size % block != 0 ? 1 : 0));
  parallel_for(num_blocks, execution, [&](std::int32_t i, std::int32_t, Watch&) {
    const Size begin = static_cast<Size>(i) * block;
    work(begin, begin + std::min(size - begin, block));
  });
}

/// parallel_for of work(own, i, watch), where `own` is the worker's: what make() gave at its first
/// item, kept for its later ones.
template <class Make, class Work>
void parallel_for_with(std::int32_t count, const Execution& execution, const Make& make,
                       const Work& work) {
  using Own = std::invoke_result_t<const Make&>;
  std::vector<std::unique_ptr<Own>> owned(at(num_workers(count, execution)));
  parallel_for(count, execution, [&](std::int32_t i, std::int32_t worker, Watch& watch) {
    auto& own = owned[at(worker)];
    if (!own) own = std::make_unique<Own>(make());
    work(*own, i, watch);
  });
}

}  // namespace w2stree
