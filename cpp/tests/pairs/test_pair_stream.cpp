#include <algorithm>
#include <array>
#include <thread>

#include "support/check.hpp"
#include "support/crowded_forests.hpp"
#include "support/episodes.hpp"
#include "w2stree/pairs/pair_stream.hpp"
#include "w2stree/pairs/pairs.hpp"

namespace w2stree::test {
namespace {

std::vector<Ids> read_to_end(PairStream& stream, std::size_t size) {
  std::vector<std::int32_t> divergence(size), chosen(size), rejected(size);
  std::vector<Ids> found;
  std::size_t written = 0;
  do {
    written = stream.next({divergence, chosen, rejected});
    for (std::size_t i = 0; i < written; ++i)
      found.push_back({divergence[i], chosen[i], rejected[i]});
  } while (written == size);
  CHECK(stream.next({divergence, chosen, rejected}) == 0);  // and stays at the end
  return found;
}

std::vector<Ids> streamed(const Forest& forest, const PairRule& rule, std::size_t size) {
  PairStream stream(forest, rule);
  return read_to_end(stream, size);
}

void streams_the_same_in_any_chunks() {
  for (const Forest& forest : crowded_forests()) {
    for (const std::size_t size : {1, 2, 3, 7, 64, 1000, 1000000})
      CHECK(streamed(forest, {}, size) == rows(enumerate_pairs(forest, {})));
    for (const PairRule& rule : kRules)
      CHECK(streamed(forest, rule, 100) == rows(enumerate_pairs(forest, rule)));
  }
}

void readers_take_turns() {
  const Forest forest = crowded_forest(300, 301);
  PairStream stream(forest, {});
  std::array<std::vector<Ids>, 3> found;
  {
    std::vector<std::jthread> readers;
    for (std::vector<Ids>& own : found) readers.emplace_back([&] { own = read_to_end(stream, 7); });
  }
  std::vector<Ids> all;
  for (const std::vector<Ids>& own : found) all.insert(all.end(), own.begin(), own.end());
  std::ranges::sort(all);
  CHECK(all == by_definition(forest, {}));
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({streams_the_same_in_any_chunks, readers_take_turns});
}
