// Runs a fuzz target without libFuzzer: replay CORPUS_FOLDER [num_mutations] [seed]
//
// Every file of the corpus first, then mutations of them from a seeded generator, so that a
// failure is found again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

std::vector<Input> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& file : std::filesystem::directory_iterator(folder)) paths.push_back(file);
  std::ranges::sort(paths);
  std::vector<Input> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t end) { return random_() % end; }

  Input mutate(Input input) {
    for (std::size_t i = 1 + below(4); i > 0 && !input.empty(); --i) change(input);
    return input;
  }

 private:
  void change(Input& input) {
    static constexpr std::int32_t kValues[] = {-1, 0, 1, 2, 3, 7, 63, 64, 0x7FFFFFFF};
    const std::size_t place = below(input.size());
    switch (below(6)) {
      case 0:
        input[place] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        input[place] = static_cast<std::uint8_t>(random_());
        break;
      case 2:
        input.resize(place);
        break;
      case 3:
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(place), 1 + below(9),
                     static_cast<std::uint8_t>(random_()));
        break;
      case 4:
        put(input, place & ~std::size_t{3}, kValues[below(std::size(kValues))]);
        break;
      default:
        std::swap(input[place], input[below(input.size())]);
    }
  }

  // Inputs begin with a mode: elements of a file are one byte further on.
  static void put(Input& input, std::size_t place, std::int32_t value) {
    const auto bits = static_cast<std::uint32_t>(value);
    for (std::size_t i = 0; i < 4 && place + 1 + i < input.size(); ++i) {
      input[place + 1 + i] = static_cast<std::uint8_t>(bits >> 8 * i);
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Input> corpus = read_corpus(argc > 1 ? argv[1] : ".");
  const long num_mutations = argc > 2 ? std::atol(argv[2]) : 10000;
  if (corpus.empty()) {
    std::cerr << "no corpus\n";
    return EXIT_FAILURE;
  }
  for (const Input& input : corpus) LLVMFuzzerTestOneInput(input.data(), input.size());
  Mutator mutator(argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 20250718);
  for (long i = 0; i < num_mutations; ++i) {
    const Input input = mutator.mutate(corpus[mutator.below(corpus.size())]);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::cout << corpus.size() << " files and " << num_mutations << " mutations passed\n";
}
