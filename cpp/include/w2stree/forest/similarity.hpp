// Observations that say the same in other words: cosine of their embeddings >= min_similarity.
//
//   embedding   row per observation id, any length but zero; compared by direction only
//   guard       class per observation id: what embeddings cannot tell apart ("open"/"closed",
//               other numbers) is in different classes and never merges
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "w2stree/base/column.hpp"
#include "w2stree/base/ids.hpp"

namespace w2stree {

struct Similarity {
  std::span<const float> embedding;     // [num_observations, dimension] finite, row after row
  std::int32_t dimension = 0;           // >= 1
  double min_similarity = 1.0;          // in (0, 1]
  std::span<const std::int32_t> guard;  // [num_observations]; empty: one class
};

/// How often observation `seen` counted as the node's `made`, though they differ.
struct ObservationMerge {
  std::int32_t made;
  std::int32_t seen;
  std::int64_t count;

  bool operator==(const ObservationMerge&) const = default;
};

/// Similarity, checked, with the lengths of all rows at hand.
class SimilarityTest {
 public:
  /// Throws InvalidInput naming the row for a zero vector or one that is not finite, and for
  /// sizes or thresholds that do not fit. O(num_observations * dimension).
  SimilarityTest(const Similarity& similarity, std::int32_t num_observations);

  /// Whether two observations count as the same: equal, or of one guard class and similar.
  /// Symmetric, and the same on every machine: the order of summation is fixed.
  bool same(std::int32_t left, std::int32_t right) const {
    return left == right || (same_guard(left, right) && cosine(left, right) >= min_similarity_);
  }

  double cosine(std::int32_t left, std::int32_t right) const;

  /// Throws InvalidInput naming the first id without an embedding.
  void check_ids(std::string_view name, std::span<const std::int32_t> observation_id) const;

 private:
  bool same_guard(std::int32_t left, std::int32_t right) const {
    return guard_.empty() || guard_[at(left)] == guard_[at(right)];
  }
  const float* row(std::int32_t observation) const {
    return embedding_.data() + at(observation) * at(dimension_);
  }

  std::span<const float> embedding_;
  std::span<const std::int32_t> guard_;
  std::int32_t dimension_;
  double min_similarity_;
  std::vector<double> inverse_length_;
};

}  // namespace w2stree
