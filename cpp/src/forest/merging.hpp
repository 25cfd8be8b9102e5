// Which observations count as the same state; asked only after the same action.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "w2stree/forest/similarity.hpp"

namespace w2stree {

struct ExactMerging {
  static constexpr bool is_exact = true;
  static bool same(std::int32_t made, std::int32_t seen) { return made == seen; }
};

/// By similarity; counts what was merged. One for each worker.
class SimilarMerging {
 public:
  using Counts = std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>;

  static constexpr bool is_exact = false;
  explicit SimilarMerging(const SimilarityTest& test) : test_(&test) {}

  bool same(std::int32_t made, std::int32_t seen) const { return test_->same(made, seen); }

  /// Steps that went along with others.
  void count(const std::int32_t* made, const std::int32_t* seen, std::int32_t num_steps) {
    for (std::int32_t i = 0; i < num_steps; ++i) {
      if (made[i] != seen[i]) ++counts_[{made[i], seen[i]}];
    }
  }
  const Counts& counts() const { return counts_; }

 private:
  const SimilarityTest* test_;
  Counts counts_;  // (made, seen)
};

}  // namespace w2stree
