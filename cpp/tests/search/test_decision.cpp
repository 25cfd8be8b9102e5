#include <cmath>
#include <random>

#include "base/exact_log.hpp"
#include "support/check.hpp"
#include "support/episodes.hpp"
#include "support/searches.hpp"
#include "w2stree/search/search.hpp"

namespace w2stree::test {
namespace {

double known_log(std::int64_t total) {
  static std::vector<double> logs = {0.0};
  while (static_cast<std::int64_t>(logs.size()) <= total) {
    logs.push_back(exact_log(static_cast<double>(logs.size()) + 1e-12));
  }
  return logs[static_cast<std::size_t>(total)];
}

// One root with an arm for each return, searched as the method is written down: the arms taken.
std::vector<std::size_t> plain_star(const std::vector<double>& returns,
                                    const SearchOptions& options) {
  Counts visit_count(returns.size(), 0);
  Values value_sum(returns.size(), 0.0);
  std::vector<std::size_t> taken;
  for (std::int64_t total = 0; total < options.num_simulations; ++total) {
    const double log_total = total > 0 ? known_log(total) : 0.0;
    std::size_t best = 0;
    double best_score = -1e300;
    for (std::size_t arm = 0; arm < returns.size(); ++arm) {
      const auto c = static_cast<double>(visit_count[arm]);
      const double score = value_sum[arm] / c + options.exploration * std::sqrt(log_total / c);
      if (visit_count[arm] == 0 || score > best_score) {
        best = arm;
        best_score = score;
      }
      if (visit_count[arm] == 0) break;
    }
    visit_count[best] += 1;
    value_sum[best] += returns[best];
    taken.push_back(best);
  }
  return taken;
}

Forest star(const std::vector<double>& returns) {
  Episodes episodes;
  for (std::size_t arm = 0; arm < returns.size(); ++arm) {
    episodes.action_id.push_back(static_cast<std::int32_t>(arm));
    episodes.observation_id.push_back(0);
    episodes.step_offset.push_back(static_cast<std::int64_t>(arm + 1));
    episodes.tree_id.push_back(0);
    episodes.total_return.push_back(returns[arm]);
  }
  episodes.num_trees = 1;
  return build_forest(episodes.columns());
}

// Compares the first descents too, `step` by `step`, because a wrong one may be made up for later.
// Returns the number of exact checks.
std::int64_t check_star(const std::vector<double>& returns, SearchOptions options,
                        std::int64_t step = 1 << 20) {
  const Forest forest = star(returns);
  const std::vector<std::size_t> taken = plain_star(returns, options);
  Counts expected(returns.size() + 1, 0);  // by chain, the root's first
  for (std::size_t i = 0; i + 1 < taken.size(); ++i) {
    expected[0] += 1;
    expected[1 + taken[i]] += 1;
    if (expected[0] % step != 0) continue;
    options.num_simulations = expected[0];
    CHECK(visits(forest, search(forest, options)) == expected);
  }
  expected[0] += 1;
  expected[1 + taken.back()] += 1;
  options.num_simulations = expected[0];
  const SearchResult result = search(forest, options);
  CHECK(visits(forest, result) == expected);
  return result.num_exact_checks;
}

std::vector<double> some_returns(std::size_t num_arms, std::uint64_t num_values) {
  std::mt19937_64 random(num_arms);
  std::vector<double> returns(num_arms);
  for (double& value : returns) {
    value = static_cast<double>(random() % num_values) / static_cast<double>(num_values);
  }
  return returns;
}

void decides_among_few_and_many_arms() {
  for (const std::size_t num_arms : {2U, 3U, 16U, 17U, 64U, 65U, 130U, 1024U}) {
    for (const std::uint64_t num_values : {1U, 11U, 1U << 30U}) {
      for (const double exploration : {0.0, 0.05, 1.41}) {
        const auto num_simulations = static_cast<std::int64_t>(num_arms + 400);
        check_star(some_returns(num_arms, num_values),
                   {.num_simulations = num_simulations, .exploration = exploration});
      }
    }
  }
}

// Bonuses grow until an arm overtakes the best of its block without a visit to either.
void notices_when_arms_overtake() {
  check_star(some_returns(65, 1U << 30U), {.num_simulations = 2000, .exploration = 0.3}, 31);
  check_star(some_returns(300, 1U << 30U), {.num_simulations = 2000, .exploration = 0.3}, 31);
}

void decides_near_ties_exactly() {
  for (const std::size_t num_arms : {2U, 5U, 20U, 64U, 100U, 400U}) {
    std::vector<double> returns(num_arms, 0.3);
    for (std::size_t arm = 0; arm < num_arms; ++arm) {
      for (std::size_t i = 0; i < 7 * arm % 5; ++i) returns[arm] = std::nextafter(returns[arm], 1);
    }
    for (const double exploration : {0.0, 0.3, 1.41}) {
      CHECK(check_star(returns, {.num_simulations = 1000, .exploration = exploration}) > 50);
    }
    CHECK(check_star(std::vector<double>(num_arms, 0.3), {.num_simulations = 1000}) == 0);
  }
}

// Beyond the table of counts, and beyond what the near ties before left in the cache of logarithms.
void counts_beyond_the_table() {
  check_star({0.5, 0.25, 0.75}, {.num_simulations = 70000});
  check_star({0.5, std::nextafter(0.5, 1)}, {.num_simulations = 70000});
}

void is_interrupted_within_a_tree() {
  struct Interrupt {};
  int num_polls = 0;
  const auto poll = [&] {
    if (++num_polls == 100) throw Interrupt{};
  };
  for (const std::int32_t num_threads : {1, 2}) {
    num_polls = 0;
    bool was_interrupted = false;
    try {
      search(star(some_returns(300, 2)), {.num_simulations = std::int64_t{1} << 50},
             {.num_threads = num_threads, .poll = poll});
    } catch (const Interrupt&) {
      was_interrupted = true;
    }
    CHECK(was_interrupted);
  }
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({decides_among_few_and_many_arms, notices_when_arms_overtake,
              decides_near_ties_exactly, counts_beyond_the_table, is_interrupted_within_a_tree});
}
