#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "support/check.hpp"
#include "support/forest_files.hpp"
#include "w2stree/base/xxhash.hpp"
#include "w2stree/file/digest.hpp"
#include "w2stree/file/forest_file.hpp"

namespace w2stree::test {
namespace {

bool is_refused(const Bytes& bytes) {
  try {
    parse_forest_file(bytes, nullptr);
  } catch (const ForestFileError& error) {
    return std::string_view(error.what()).starts_with("byte ");
  }
  return false;
}

bool same(const TextTable& left, const TextTable& right) {
  return left.data == right.data && left.offset == right.offset;
}

void reads_what_it_wrote() {
  const ForestFile written = file();
  const Bytes bytes = encode(written);
  const ForestFile read = parse_forest_file(bytes, nullptr);
  const Chains &left = written.forest.chains, &right = read.forest.chains;
  CHECK(written.forest.action_id == read.forest.action_id);
  CHECK(written.forest.observation_id == read.forest.observation_id);
  CHECK(left.first_node == right.first_node);
  CHECK(left.parent == right.parent);
  CHECK(left.subtree_end == right.subtree_end);
  CHECK(left.depth == right.depth);
  CHECK(left.num_actions == right.num_actions);
  CHECK(left.num_trajectories == right.num_trajectories);
  CHECK(left.num_terminal == right.num_terminal);
  CHECK(left.first_trajectory == right.first_trajectory);
  CHECK(left.return_sum == right.return_sum);
  CHECK(written.forest.root_chain == read.forest.root_chain);
  CHECK(written.forest.end_chain == read.forest.end_chain);
  CHECK(written.forest.trajectory_order == read.forest.trajectory_order);
  CHECK(written.forest.total_return == read.forest.total_return);
  CHECK(same(written.task_ids, read.task_ids));
  CHECK(same(written.actions, read.actions));
  CHECK(same(written.observations, read.observations));
  CHECK(read.num_errors == 3);
  CHECK(encode(read) == bytes);
  CHECK(encode(written, 4) == bytes);
}

void reads_the_rule_and_what_it_merged() {
  const ForestFile written = similar_file();
  const Bytes bytes = encode(written);
  const ForestFile read = parse_forest_file(bytes, nullptr);
  CHECK(same(written.rule, read.rule));
  CHECK(written.min_similarity == read.min_similarity);
  CHECK(written.merges.made == read.merges.made);
  CHECK(written.merges.seen == read.merges.seen);
  CHECK(written.merges.count == read.merges.count);
  CHECK(encode(read) == bytes);
}

void reads_files_without_a_rule() {
  const Bytes bytes = encode(file());
  const Bytes old = without_rule(bytes);
  const ForestFile read = parse_forest_file(old, nullptr);
  CHECK(num_texts(read.rule) == 0 && read.min_similarity.empty() && read.merges.made.empty());
  CHECK(encode(read) == bytes);
}

void refuses_rules_and_merges_that_contradict_themselves() {
  const auto refused = [](auto change, const std::string& message) {
    ForestFile content = similar_file();
    change(content);
    try {
      encode(content);
      CHECK(false);
    } catch (const ForestFileError& error) {
      CHECK(std::string_view(error.what()).ends_with(message));
    }
  };
  const auto similarity = [](double value) {
    return [=](ForestFile& f) { f.min_similarity = std::vector<double>{value}; };
  };
  const auto merge = [](std::int32_t made, std::int32_t seen, std::int64_t count) {
    return [=](ForestFile& f) {
      f.merges = {std::vector<std::int32_t>{0, made}, std::vector<std::int32_t>{1, seen},
                  std::vector<std::int64_t>{1, count}};
    };
  };
  refused([](ForestFile& f) { f.rule = table({"", ""}); }, "rule.offset[3]: expected 4 elements");
  refused([](ForestFile& f) { f.rule = table({"", "", "g"}); },
          "min_similarity[0]=0.9: expected nothing, since `rule` names no embed");
  refused([](ForestFile& f) { f.min_similarity = {}; },
          "min_similarity[0]: expected a number, since `rule` names embed");
  refused([](ForestFile& f) { f.min_similarity = std::vector<double>{0.5, 0.5}; },
          "min_similarity[1]=0.5: expected 1 elements");
  for (const double value : {0.0, -0.5, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    refused(similarity(value), ": expected a number in (0, 1]");
  }
  refused(
      [](ForestFile& f) {
        f.rule = table({"", "", "g"});
        f.min_similarity = {};
      },
      "rule.offset[3]=1: expected no guard, since `rule` names no embed");
  refused(
      [](ForestFile& f) {
        f.rule = table({"n", "", ""});
        f.min_similarity = {};
      },
      "merges.made[0]=0: expected nothing, since the rule is exact or unknown");
  refused(merge(2, 0, 1), "merges.made[1]=2: expected the number of a text");
  refused(merge(-1, 0, 1), "merges.made[1]=-1: expected the number of a text");
  refused(merge(1, 1, 1), "merges.seen[1]=1: expected the number of another text than made");
  refused(merge(1, 2, 1), "merges.seen[1]=2: expected the number of another text than made");
  refused(merge(0, 1, 1), "merges.seen[1]=1: expected merges in ascending order");
  refused(merge(1, 0, 0), "merges.count[1]=0: expected at least 1");
  refused([](ForestFile& f) { f.merges.count = std::vector<std::int64_t>{1}; },
          "merges.count[1]: expected 2 elements");
}

void borrows_the_bytes_and_keeps_their_owner() {
  const auto owner = std::make_shared<const Bytes>(encode(file()));
  Column<std::int32_t> kept;
  {
    const ForestFile read = parse_forest_file(*owner, owner);
    kept = read.forest.action_id;
    CHECK(reinterpret_cast<const std::byte*>(kept.data()) == owner->data() + 1344);
  }
  CHECK(owner.use_count() == 2);
}

void reads_forests_without_anything() {
  const std::vector<std::int64_t> offset = {0};
  const ForestFile nothing = {build_forest({{}, {}, offset, {}, {}, 0}), table({}), table({}),
                              table({}), 0};
  CHECK(num_trees(parse_forest_file(encode(nothing), nullptr).forest) == 0);
  const ForestFile empty_trees = {build_forest({{}, {}, offset, {}, {}, 3}), table({"a", "b", "c"}),
                                  table({}), table({}), 0};
  CHECK(num_nodes(parse_forest_file(encode(empty_trees), nullptr).forest) == 3);
}

void refuses_every_flipped_bit_and_every_cut_of(Bytes bytes) {
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
    CHECK(is_refused(bytes));
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(is_refused(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  CHECK(!is_refused(bytes));
}

void refuses_every_flipped_bit_and_every_cut() {
  refuses_every_flipped_bit_and_every_cut_of(encode(file()));
  refuses_every_flipped_bit_and_every_cut_of(encode(similar_file()));
  refuses_every_flipped_bit_and_every_cut_of(without_rule(encode(file())));
}

// Refused in the first tree that is broken, whichever thread finds out.
void errors_do_not_depend_on_threads() {
  Episodes episodes;
  for (std::int32_t tree = 0; tree < 64; ++tree) {
    episodes.add(tree, "ab", 1.0).add(tree, "ac", 0.5);
  }
  std::vector<std::uint8_t> data(64, 'x');
  std::vector<std::int64_t> offset(65);
  for (std::size_t i = 0; i < offset.size(); ++i) offset[i] = static_cast<std::int64_t>(i);
  ForestFile broken = {build_forest(episodes.columns()),
                       {std::move(data), std::move(offset)},
                       table({"a", "b", "c"}),
                       table({""}),
                       0};
  std::vector<std::int32_t> depth(broken.forest.chains.depth.begin(),
                                  broken.forest.chains.depth.end());
  for (std::size_t chain = 20; chain < depth.size(); ++chain) depth[chain] += 7;
  broken.forest.chains.depth = std::move(depth);
  std::string first;
  for (const std::int32_t num_threads : {1, 2, 3, 8}) {
    try {
      encode(broken, num_threads);
      CHECK(false);
    } catch (const ForestFileError& error) {
      if (first.empty()) first = error.what();
      CHECK(first == error.what());
    }
  }
  CHECK(first.find("depth[20]=") != std::string::npos);
}

void refuses_bytes_out_of_line() {
  Bytes bytes = encode(file());
  bytes.insert(bytes.begin(), std::byte{0});
  CHECK_REFUSED(parse_forest_file(std::span(bytes).subspan(1), nullptr),
                "the bytes of a forest file must lie at a multiple of 8");
}

void can_be_interrupted() {
  struct Stop {};
  const Bytes bytes = encode(file());
  bool stopped = false;
  try {
    parse_forest_file(bytes, nullptr, {1, [] { throw Stop{}; }});
  } catch (const Stop&) {
    stopped = true;
  }
  CHECK(stopped);
}

bool is_text(std::string_view bytes) {
  return !find_defect(table({bytes})).has_value();
}

void knows_utf8() {
  for (const std::string_view good :
       {"", "plain", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF", "\xED\xA0\x80", "\xED\xBF\xBF"}) {  // the last two: surrogates
    CHECK(is_text(good));
    const std::string long_text = std::string(200, 'a') + std::string(good) + std::string(99, 'b');
    CHECK(is_text(long_text));
  }
  for (const std::string_view bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xE1\x80",
        "\xE1\x80\x41", "\xF0\x8F\xBF\xBF", "\xF0\x90\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
        "\xFF", "a\xE1", "\xF8\x88\x80\x80\x80"}) {
    CHECK(!is_text(bad));
    for (const std::size_t before : {1, 63, 64, 65, 200}) {
      CHECK(!is_text(std::string(before, 'a') + std::string(bad) + std::string(99, 'b')));
    }
  }
}

void hashes_as_published() {
  const auto hash = [](std::string_view text, std::uint64_t seed) {
    return xxh64(std::as_bytes(std::span(text)), seed);
  };
  CHECK(hash("", 0) == 0xEF46DB3751D8E999u);
  CHECK(hash("a", 0) == 0xD24EC4F1A98C6E5Bu);
  CHECK(hash("abc", 0) == 0x44BC2CF5AD770999u);
  CHECK(hash("Nobody inspects the spammish repetition", 0) == 0xFBCEA83C8A378BF1u);
  const std::string text(1000, 'q');
  Xxh64 pieces(7);
  pieces.update(std::as_bytes(std::span(text)).first(320));
  pieces.update(std::as_bytes(std::span(text)).subspan(320, 32));
  CHECK(pieces.finish(std::as_bytes(std::span(text)).subspan(352)) == hash(text, 7));
}

Digest digest_of(const ForestFile& content, std::int32_t num_threads) {
  return digest(content.forest, hash_texts(content.task_ids), hash_texts(content.actions),
                hash_texts(content.observations), {num_threads, {}});
}

void digests_content_alone() {
  const Digest digest = digest_of(file(), 1);
  CHECK(digest == digest_of(file(), 3));
  CHECK(digest == Digest{0x4D8512B56E6DFD5Bu, 0x6011472495862F3Du});
  ForestFile other = file();
  other.task_ids = table({"x", "z"});
  CHECK(digest != digest_of(other, 1));
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({reads_what_it_wrote, reads_the_rule_and_what_it_merged, reads_files_without_a_rule,
              refuses_rules_and_merges_that_contradict_themselves,
              borrows_the_bytes_and_keeps_their_owner, reads_forests_without_anything,
              refuses_every_flipped_bit_and_every_cut, errors_do_not_depend_on_threads,
              refuses_bytes_out_of_line, can_be_interrupted, knows_utf8, hashes_as_published,
              digests_content_alone});
}
