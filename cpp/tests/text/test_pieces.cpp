#include <random>
#include <string>
#include <vector>

#include "support/check.hpp"
#include "w2stree/text/pieces.hpp"

namespace w2stree::test {
namespace {

using Strings = std::vector<std::string>;
using Ends = std::vector<std::int64_t>;

Strings pieces_of(const std::string& record) {
  std::vector<std::string_view> pieces;
  cut(record, pieces);
  return {pieces.begin(), pieces.end()};
}

std::string joined(const Strings& pieces) {
  std::string all;
  for (const std::string& piece : pieces) all += piece;
  return all;
}

void parts_texts_from_framing() {
  CHECK(pieces_of(R"({"role": "user", "content": "You see a fridge. It is closed."})") ==
        Strings{R"({"role": "user", "content": ")", "You see a fridge. It is closed.", R"("})"});
  CHECK(pieces_of(R"({"a": "short"})") == Strings{R"({"a": "short"})"});
  CHECK(pieces_of("").empty());
}

std::string random_record(std::mt19937& random, std::size_t size) {
  const std::string_view letters = "\"\\n abc\n{}:,";
  std::string record;
  for (std::size_t i = 0; i < size; ++i) {
    // Stretches without a quote, too: else no text would be long.
    const bool is_calm = i / 700 % 2 == 1;
    record += letters[random() % letters.size()];
    if (is_calm && record.back() == '"') record.back() = 'x';
  }
  return record;
}

// Whatever the bytes are, and none of the pieces is empty or beyond the largest.
void pieces_are_the_record() {
  std::mt19937 random(7);
  for (std::size_t i = 0; i < 400; ++i) {
    const std::string record = random_record(random, random() % 9000);
    const Strings pieces = pieces_of(record);
    CHECK(joined(pieces) == record);
    for (const std::string& piece : pieces) CHECK(!piece.empty() && piece.size() < 2 * 4096);
  }
}

// An edit of one line leaves the pieces of what stands well before and after it.
void an_edit_changes_few_pieces() {
  Strings lines;
  for (int i = 0; i < 400; ++i) lines.push_back("line " + std::to_string(i * 7919) + " of it\\n");
  const std::string before = "\"" + joined(lines) + "\"";
  lines[200] = "another line\\n";
  const std::string after = "\"" + joined(lines) + "\"";
  PieceTable table;
  table.split(before, Ends{static_cast<std::int64_t>(before.size())});
  const std::int32_t num_before = table.size();
  table.split(after, Ends{static_cast<std::int64_t>(after.size())});
  CHECK(num_before > 20 && table.size() - num_before <= 3);
}

void numbers_pieces_by_first_appearance() {
  PieceTable table;
  const std::string data = "\"a text of some words\"\n\"a text of some words\"\n";
  const auto half = static_cast<std::int64_t>(data.size() / 2);
  const CutRecords records = table.split(data, Ends{half, 2 * half});
  CHECK(records.id == std::vector<std::int32_t>{0, 1, 2, 0, 1, 2});
  CHECK(records.offset == std::vector<std::int64_t>{0, 3, 6});
  CHECK(table.piece(1) == "a text of some words" && table.size() == 3);
}

void learns_pieces_as_they_are() {
  PieceTable table;
  table.learn("\"a text of some words", Ends{0, 1, 21});
  CHECK(table.size() == 2);
  const std::string data = "\"a text of some words\"";
  CHECK(table.split(data, Ends{22}).id == std::vector<std::int32_t>{0, 1, 0});
  CHECK_REFUSED(table.learn("\"", (Ends{0, 1})), "piece 0 has a number already");
  CHECK_REFUSED(table.learn("abc", (Ends{0, 0})),
                "offset[1]=0: expected more than 0, and at most 3 bytes");
  CHECK_REFUSED(table.learn("abc", (Ends{0, 4})),
                "offset[1]=4: expected more than 0, and at most 3 bytes");
}

void refuses_ends_that_are_none() {
  PieceTable table;
  CHECK_REFUSED(table.split("abc", Ends{2}), "the records end at byte 2 of 3");
  CHECK_REFUSED(table.split("abc", (Ends{2, 1})),
                "end[1]=1: expected at least 2, and at most 3 bytes");
  CHECK_REFUSED(table.split("abc", Ends{4}), "end[0]=4: expected at least 0, and at most 3 bytes");
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({parts_texts_from_framing, pieces_are_the_record, an_edit_changes_few_pieces,
              numbers_pieces_by_first_appearance, learns_pieces_as_they_are,
              refuses_ends_that_are_none});
}
