// How a long call runs. Nothing here changes a result.
#pragma once

#include <cstdint>
#include <functional>

namespace w2stree {

struct Execution {
  std::int32_t num_threads = 1;  // >= 1

  /// Called on the caller's thread every few milliseconds at most; throws to end the call early
  /// (Ctrl-C). Empty: the call cannot be interrupted.
  std::function<void()> poll = {};
};

}  // namespace w2stree
