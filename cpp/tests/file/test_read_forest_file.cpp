// A file that is read piece by piece, on threads, is what the same bytes in memory are.
#include <algorithm>
#include <atomic>
#include <deque>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "support/check.hpp"
#include "support/forest_files.hpp"
#include "w2stree/file/forest_file.hpp"

namespace w2stree::test {
namespace {

// A file of these bytes, and how often each was read.
class Source {
 public:
  explicit Source(Bytes bytes) : bytes_(std::move(bytes)), num_reads_(bytes_.size()) {}

  ForestFile read(std::size_t size, std::int32_t num_threads = 1) {
    memory_.assign(size, std::byte{0xEE});  // what nobody has read yet is no zero either
    const auto read_at = [this](std::size_t begin, std::span<std::byte> to) {
      const std::size_t end = std::min(begin + to.size(), bytes_.size());
      for (std::size_t i = begin; i < end; ++i) {
        to[i - begin] = bytes_[i];
        ++num_reads_[i];
      }
      return end - std::min(begin, end);
    };
    return read_forest_file(read_at, memory_, nullptr, {num_threads, {}});
  }
  ForestFile read(std::int32_t num_threads) { return read(bytes_.size(), num_threads); }

  bool has_read_each_once() const {
    return std::ranges::all_of(num_reads_, [](int count) { return count == 1; });
  }

 private:
  Bytes bytes_;
  Bytes memory_;
  std::deque<std::atomic<int>> num_reads_;
};

// Of some megabytes: several pieces to a section.
ForestFile large_file() {
  Random random(1, 2);
  Episodes episodes;
  std::string steps(30, 'a');
  for (int i = 0; i < 20'000; ++i) {
    for (char& step : steps) step = static_cast<char>('a' + random.below(4));
    episodes.add(i / 1000, steps, i % 5);
  }
  ForestFile large = file();
  large.forest = build_forest(episodes.columns());
  std::vector<std::int64_t> offset;
  for (std::int64_t tree = 0; tree <= num_trees(large.forest); ++tree) offset.push_back(tree);
  large.task_ids = {std::vector<std::uint8_t>(at(num_trees(large.forest)), 'x'), offset};
  return large;
}

std::string refusal(const auto& read) {
  try {
    read();
  } catch (const ForestFileError& error) {
    return error.what();
  }
  return "not refused";
}

void reads_each_byte_once_on_any_threads() {
  for (const Bytes& bytes : {encode(file()), encode(similar_file()), encode(large_file())}) {
    for (const std::int32_t num_threads : {1, 2, 3, 8}) {
      Source source(bytes);
      CHECK(encode(source.read(num_threads)) == bytes);
      CHECK(source.has_read_each_once());
    }
  }
  CHECK(encode(large_file()).size() > 4'000'000);
}

void reads_files_of_version_1() {
  const Bytes bytes = without_rule(encode(file()));
  for (const std::int32_t num_threads : {1, 4}) {
    CHECK(encode(Source(bytes).read(num_threads)) == encode(parse_forest_file(bytes, nullptr)));
  }
}

void finds_what_is_wrong_as_it_does_in_memory() {
  for (const Bytes& whole : {encode(similar_file()), without_rule(encode(file()))}) {
    for (std::size_t i = 0; i < whole.size(); ++i) {
      Bytes altered = whole;
      altered[i] ^= std::byte{4};
      const std::string expected = refusal([&] { parse_forest_file(altered, nullptr); });
      CHECK(expected.starts_with("byte "));
      CHECK(refusal([&] { Source(altered).read(1); }) == expected);
    }
  }
}

void refuses_a_file_that_became_shorter_whoever_finds_it() {
  const Bytes whole = encode(file());
  const std::string expected = "byte " + std::to_string(whole.size()) +
                               ": expected the end of the file, which became shorter meanwhile";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    for (const std::int32_t num_threads : {1, 4}) {
      CHECK(refusal([&] { Source(cut).read(whole.size(), num_threads); }) == expected);
    }
  }
}

}  // namespace
}  // namespace w2stree::test

int main() {
  using namespace w2stree::test;
  return run({reads_each_byte_once_on_any_threads, reads_files_of_version_1,
              finds_what_is_wrong_as_it_does_in_memory,
              refuses_a_file_that_became_shorter_whoever_finds_it});
}
