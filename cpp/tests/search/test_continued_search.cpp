#include <string>

#include "support/check.hpp"
#include "support/episodes.hpp"
#include "support/searches.hpp"
#include "w2stree/search/search.hpp"

namespace w2stree::test {
namespace {

void continues_where_it_stopped() {
  Episodes episodes;
  for (int i = 0; i < 600; ++i) {
    const std::string steps = {static_cast<char>('a' + i % 5), static_cast<char>('a' + i / 5 % 4),
                               static_cast<char>('A' + i / 20 % 6)};
    episodes.add(i % 3, std::string_view(steps).substr(0, at(i % 4)), i * 13 % 17 / 17.0);
  }
  const Forest forest = build_forest(episodes.columns());
  for (const Backup backup : {Backup::kMean, Backup::kMax}) {
    for (const bool stop_arm : {true, false}) {
      SearchOptions options = {
          .stop_arm = stop_arm, .backup = backup, .min_visits = 2, .num_paths = 7};
      const SearchResult at_once = search(forest, options);
      options.num_simulations = 400;
      SearchResult result = search(forest, options);
      options.num_simulations = 599;
      result = continue_search(forest, result, options, {.num_threads = 2});
      options.num_simulations = 1;
      check_equal(forest, continue_search(forest, result, options), at_once);
    }
  }
}

void stops_when_the_path_stays() {
  const Forest forest = inner_ending();
  const SearchResult result = search(forest, {.num_simulations = 1000, .patience = 25});
  CHECK(result.num_simulations == Counts{50});
  CHECK(result.has_converged == std::vector<std::uint8_t>{1});
  const SearchResult same = continue_search(forest, result, {.patience = 25});
  CHECK(same.num_simulations == Counts{50});
  check_equal(forest, same, result);
  CHECK(continue_search(forest, result, {}).num_simulations == Counts{1050});
  CHECK(search(forest, {.num_simulations = 49, .patience = 25}).num_simulations == Counts{49});
}

void refuses_to_continue_another_search() {
  const Forest forest = inner_ending();
  const SearchResult earlier = search(forest, {});
  CHECK_REFUSED(continue_search(inner_ending(), earlier, {}),
                "the search result is of another forest");
  CHECK_REFUSED(continue_search(forest, earlier, {.exploration = 1}),
                "exploration=1; resume was searched with 1.41");
  CHECK_REFUSED(continue_search(forest, earlier, {.return_scale = 2}),
                "return_scale=2; resume was searched with 1");
  CHECK_REFUSED(continue_search(forest, earlier, {.stop_arm = false}),
                "stop_arm differs from that of resume");
  CHECK_REFUSED(continue_search(forest, earlier, {.backup = Backup::kMax}),
                "backup differs from that of resume");
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run(
      {continues_where_it_stopped, stops_when_the_path_stays, refuses_to_continue_another_search});
}
