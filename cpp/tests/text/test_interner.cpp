#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "support/check.hpp"
#include "w2stree/text/interner.hpp"

namespace w2stree::test {
namespace {

using Ids = std::vector<std::int32_t>;

void numbers_texts_by_first_appearance() {
  Interner interner;
  const std::vector<std::string_view> texts{"go", "look", "go", "", "look", ""};
  Ids ids(texts.size());
  interner.intern(texts, ids.data());
  CHECK(ids == Ids{0, 1, 0, 2, 1, 2});
  CHECK(interner.intern("look") == 1 && interner.intern("loo") == 3);
  CHECK(interner.text(0) == "go" && interner.text(2).empty() && interner.text(3) == "loo");
}

void lays_texts_out_one_after_another() {
  Interner interner;
  for (const char* text : {"go", "", "look"}) interner.intern(text);
  const Texts texts = std::move(interner).finish();
  CHECK(std::string(texts.data.begin(), texts.data.end()) == "golook");
  CHECK(texts.offset == std::vector<std::int64_t>{0, 2, 2, 6});
}

// Every length around the word sizes of the hash, and enough texts to grow the table many times.
void agrees_with_a_map() {
  Interner interner;
  std::unordered_map<std::string, std::int32_t> expected;
  std::vector<std::string> texts;
  for (int i = 0; i < 30'000; ++i) {
    texts.push_back(std::string(static_cast<std::size_t>(i % 67), 'a') +
                    std::to_string(i * 7919 % 9973));
  }
  for (const std::string& text : texts) {
    expected.try_emplace(text, static_cast<std::int32_t>(expected.size()));
  }
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  Ids ids(views.size());
  interner.intern(views, ids.data());
  bool is_same = interner.size() == static_cast<std::int32_t>(expected.size());
  for (std::size_t i = 0; i < texts.size(); ++i) is_same &= ids[i] == expected.at(texts[i]);
  CHECK(is_same);
}

// Keys whose hashes agree in all the bits that the table keeps are told apart by the caller.
void tells_equal_hashes_apart() {
  IdTable table;
  for (std::int32_t i = 0; i < 100; ++i) {
    CHECK(table.find_or_add(std::uint64_t{7} << 32, [](std::int32_t) { return false; }) == i);
  }
  CHECK(table.find_or_add(0, [](std::int32_t id) { return id == 99; }) == 99);
  CHECK(table.size() == 100);
}

// The first 8 bytes are a word of wyhash's published key: with that key, one factor is 0 and all of
// these have one hash. The key is not known, so they have many.
void spreads_texts_made_to_collide() {
  std::unordered_set<std::uint32_t> hashes;
  for (int i = 0; i < 20'000; ++i) {
    const std::string number = std::to_string(1'000'000 + i);
    hashes.insert(
        static_cast<std::uint32_t>(hash_text("\x2f\x64\xbd\x78\x64\x1d\x76\xa0" + number)));
  }
  CHECK(hashes.size() > 19'990);
}

void hashes_every_byte_and_the_length() {
  for (std::size_t size = 1; size < 70; ++size) {
    const std::string text(size, 'x');
    CHECK(hash_text(text) != hash_text(text + "x"));
    for (std::size_t i = 0; i < size; ++i) {
      std::string other = text;
      other[i] = 'y';
      CHECK(hash_text(other) != hash_text(text));
    }
  }
  CHECK(hash_text("") != hash_text(std::string_view("\0", 1)));
}

void knows_utf8() {
  for (const char* text : {"", "go", "\u00e9", "\u6253\u5f00", "12345678\u00e9", "\U0001f5dd",
                           "\U0010ffff", "a long ASCII text of many words"}) {
    CHECK(is_utf8(text));
  }
  for (const char* text :
       {"\x80", "\xff", "a\xc3", "\xc3go", "\xc0\x80", "\xc1\xbf",  // stray, cut, overlong
        "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "12345678\x80",
        "\xe6\x89", "\xf5\x80\x80\x80", "\xf0\x9f\x97"}) {
    CHECK(!is_utf8(text));
  }
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({numbers_texts_by_first_appearance, lays_texts_out_one_after_another,
              agrees_with_a_map, tells_equal_hashes_apart, spreads_texts_made_to_collide,
              hashes_every_byte_and_the_length, knows_utf8});
}
