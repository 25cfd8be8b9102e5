#include <cmath>
#include <limits>
#include <string>

#include "support/check.hpp"
#include "support/episodes.hpp"
#include "w2stree/forest/growth.hpp"
#include "w2stree/forest/node_columns.hpp"
#include "w2stree/forest/similarity.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;

// Observation ids 0, 1, 2 at 0, 20 and 40 degrees: neighbours are similar at 0.9, 0 and 2 not.
std::vector<float> fan() {
  std::vector<float> rows;
  for (const double degree : {0.0, 20.0, 40.0}) {
    const double angle = degree * 3.14159265358979 / 180.0;
    rows.push_back(static_cast<float>(3.0 * std::cos(angle)));  // length does not matter
    rows.push_back(static_cast<float>(3.0 * std::sin(angle)));
  }
  return rows;
}

Episodes answered(std::initializer_list<std::int32_t> observations) {
  Episodes episodes;
  for (const std::int32_t observation : observations) {
    episodes.add(0, "a", observation / 4.0);
    episodes.observation_id.back() = observation;
  }
  return episodes;
}

SimilarForest merge(const Episodes& episodes, double min_similarity = 0.9, const Ids& guard = {}) {
  const std::vector<float> rows = fan();
  const SimilarityTest test({rows, 2, min_similarity, guard}, 3);
  return extend_similar_forest(Forest{}, episodes.columns(), test);
}

void goes_to_the_first_similar_child() {
  // 1 is similar to both 0 and 2: the one made first takes it.
  CHECK(merge(answered({0, 2, 1})).forest.observation_id == Ids{-1, 0, 2});
  CHECK(merge(answered({0, 2, 1})).forest.trajectory_order == Ids{0, 2, 1});
  CHECK(merge(answered({2, 0, 1})).forest.trajectory_order == Ids{0, 2, 1});
  // 1 comes first and takes both.
  CHECK(merge(answered({1, 0, 2})).forest.observation_id == Ids{-1, 1});
}

void compares_with_the_observation_that_made_the_child() {
  // 1 joins 0, but 2 is compared with 0 and does not.
  CHECK(merge(answered({0, 1, 2})).forest.observation_id == Ids{-1, 0, 2});
}

void counts_what_it_merged() {
  const SimilarForest merged = merge(answered({0, 1, 1, 2, 0}));
  CHECK(merged.merges == std::vector<ObservationMerge>{{0, 1, 2}});
}

void needs_the_same_action() {
  Episodes episodes = answered({0, 1});
  episodes.action_id[1] = 9;
  CHECK(num_nodes(merge(episodes).forest) == 3);
}

void guards_keep_classes_apart() {
  CHECK(merge(answered({0, 1}), 0.9, {0, 1, 0}).forest.observation_id == Ids{-1, 0, 1});
  CHECK(merge(answered({0, 1}), 0.9, {1, 1, 0}).forest.observation_id == Ids{-1, 0});
}

void merges_along_and_past_splits() {
  // a0 b1 c0 | a1 b0 d0: the second runs along the first by similarity, then leaves it.
  Episodes episodes = Episodes().add(0, "abc", 1.0).add(0, "abd", 0.0);
  episodes.observation_id = {0, 1, 0, 1, 0, 0};
  const SimilarForest merged = merge(episodes);
  CHECK(node_num_children(merged.forest) == Ids{1, 1, 2, 0, 0});
  CHECK(merged.merges == std::vector<ObservationMerge>{{0, 1, 1}, {1, 0, 1}});
}

void exact_when_nothing_is_similar() {
  const Episodes episodes = answered({0, 1, 2, 1, 0, 2});
  const Forest exact = build_forest(episodes.columns());
  const Forest similar = merge(episodes, 0.999).forest;
  CHECK(similar.trajectory_order == exact.trajectory_order);
  CHECK(similar.observation_id == exact.observation_id);
}

void finds_similar_children_among_many() {
  // Twelve actions make a fork of the children; the similar one is not found by its hash.
  Episodes episodes;
  for (char letter = 'a'; letter < 'm'; ++letter) episodes.add(0, std::string(1, letter), 0.0);
  episodes.add(0, "L", 1.0);  // observation 1
  CHECK(num_nodes(merge(episodes).forest) == 13);
}

void of_one_direction_are_as_similar_as_can_be() {
  // (1, 1) has a cosine with itself below 1 by rounding.
  const std::vector<float> rows{1, 1, 3, 3, 1, -1};
  const SimilarityTest test({rows, 2, 1.0, {}}, 3);
  CHECK(test.same(0, 1));
  CHECK(!test.same(0, 2));
}

void names_the_place_of_bad_input() {
  const auto refused = [](std::vector<float> rows, std::int32_t dimension, double min_similarity,
                          const std::string& message) {
    CHECK_REFUSED(SimilarityTest({rows, dimension, min_similarity, {}}, 2), message);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  refused({1, 0, 0, 0}, 2, 0.9, "embedding[1] is zero and has no direction");
  refused({1, 0, nan, 0}, 2, 0.9, "embedding[1] is not finite, or too long to measure");
  refused({1, 0}, 2, 0.9, "embedding has 1 rows; expected 2, one for each observation");
  refused({}, 0, 0.9, "embedding has 0 columns; expected at least 1");
  for (const double bad : {0.0, -1.0, 1.5}) {
    refused({1, 0, 0, 1}, 2, bad,
            "min_similarity=" +
                std::string(bad == 0.0  ? "0"
                            : bad < 0.0 ? "-1"
                                        : "1.5") +
                "; expected a number in (0, 1]");
  }
  const std::vector<float> rows = {1, 0, 0, 1};
  const Ids guard = {0};
  CHECK_REFUSED(SimilarityTest({rows, 2, 0.9, guard}, 2),
                "guard has 1 elements; expected 2, one for each observation");
  const SimilarityTest two({rows, 2, 0.9, {}}, 2);
  CHECK_REFUSED(extend_similar_forest(Forest{}, answered({0, 2}).columns(), two),
                "observation_id[1]=2 has no embedding: 2 rows given");
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({goes_to_the_first_similar_child, compares_with_the_observation_that_made_the_child,
              counts_what_it_merged, needs_the_same_action, guards_keep_classes_apart,
              merges_along_and_past_splits, exact_when_nothing_is_similar,
              finds_similar_children_among_many, of_one_direction_are_as_similar_as_can_be,
              names_the_place_of_bad_input});
}
