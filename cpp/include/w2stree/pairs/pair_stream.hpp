// All pairs, a chunk at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "w2stree/base/execution.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/pairs/pairs.hpp"

namespace w2stree {

/// Where pairs are written: columns of equal length.
struct PairColumns {
  std::span<std::int32_t> divergence;
  std::span<std::int32_t> chosen;
  std::span<std::int32_t> rejected;
};

/// A cursor over the pairs of enumerate_pairs. Holds 8 bytes a trajectory, and some 60 more for
/// those of the largest tree.
class PairStream {
 public:
  /// Throws InvalidInput for a bad rule. Keeps the forest's memory alive.
  PairStream(const Forest& forest, const PairRule& rule);
  ~PairStream();
  PairStream(PairStream&&) noexcept;
  PairStream& operator=(PairStream&&) noexcept;

  /// Writes the next pairs into `out` and returns how many: fewer than fit only at the end.
  /// Runs on the caller's thread; callers on several take turns. If the poll throws, pairs may
  /// have been skipped.
  std::size_t next(const PairColumns& out, const Execution& execution = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace w2stree
