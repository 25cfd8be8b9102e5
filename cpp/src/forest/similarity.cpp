#include "w2stree/forest/similarity.hpp"

#include <cmath>

#include "w2stree/base/errors.hpp"
#include "w2stree/base/ids.hpp"

namespace w2stree {
namespace {

constexpr double kRounding = 1e-6;  // of sums of floats

// Eight sums side by side: vector units do them at once, and all add in this one order.
double dot(const float* left, const float* right, std::int32_t dimension) {
  constexpr std::int32_t kLanes = 8;
  float lane[kLanes] = {};
  std::int32_t i = 0;
  for (; i + kLanes <= dimension; i += kLanes) {
    for (std::int32_t k = 0; k < kLanes; ++k) lane[k] += left[i + k] * right[i + k];
  }
  double sum = 0.0;
  for (const float part : lane) sum += static_cast<double>(part);
  for (; i < dimension; ++i) sum += static_cast<double>(left[i]) * static_cast<double>(right[i]);
  return sum;
}

}  // namespace

SimilarityTest::SimilarityTest(const Similarity& similarity, std::int32_t num_observations)
    : embedding_(similarity.embedding),
      guard_(similarity.guard),
      dimension_(similarity.dimension),
      min_similarity_(similarity.min_similarity) {
  if (!(min_similarity_ > 0.0 && min_similarity_ <= 1.0)) {
    refuse("min_similarity=", min_similarity_, "; expected a number in (0, 1]");
  }
  if (dimension_ < 1) refuse("embedding has ", dimension_, " columns; expected at least 1");
  if (embedding_.size() != at(num_observations) * at(dimension_)) {
    refuse("embedding has ", embedding_.size() / at(dimension_), " rows; expected ",
           num_observations, ", one for each observation");
  }
  if (!guard_.empty() && guard_.size() != at(num_observations)) {
    refuse("guard has ", guard_.size(), " elements; expected ", num_observations,
           ", one for each observation");
  }
  inverse_length_.reserve(at(num_observations));
  for (std::int32_t i = 0; i < num_observations; ++i) {
    const double length = std::sqrt(dot(row(i), row(i), dimension_));
    if (!std::isfinite(length)) refuse("embedding[", i, "] is not finite, or too long to measure");
    if (length < 1e-12) refuse("embedding[", i, "] is zero and has no direction");
    inverse_length_.push_back(1.0 / length);
  }
}

void SimilarityTest::check_ids(std::string_view name,
                               std::span<const std::int32_t> observation_id) const {
  for (std::size_t i = 0; i < observation_id.size(); ++i) {
    if (observation_id[i] == kNone) continue;  // roots have none
    if (at(observation_id[i]) >= inverse_length_.size()) {
      refuse(name, "[", i, "]=", observation_id[i], " has no embedding: ", inverse_length_.size(),
             " rows given");
    }
  }
}

double SimilarityTest::cosine(std::int32_t left, std::int32_t right) const {
  const double found = dot(row(left), row(right), dimension_) *
                       (inverse_length_[at(left)] * inverse_length_[at(right)]);
  // Of one direction it is 1: without what rounding takes off a threshold of 1 would part equals.
  return found > 1.0 - kRounding ? 1.0 : found;
}

}  // namespace w2stree
