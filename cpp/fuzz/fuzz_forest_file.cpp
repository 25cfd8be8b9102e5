// Fuzz target: no bytes make the reader of forest files crash, or believe what is no forest.
//
//   input   mode | rest
//           0      rest is a file
//           1      rest is a file, its checksums put right first
//           2      rest is trajectories, then changes to the file of their forest, checksums right
//
// What is read without complaint must be a forest: everything that walks one runs over it, the
// trajectories read off it build it again, and it is written as the same bytes (a file of version 1
// as one of today's that says the same).
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "input.hpp"
#include "w2stree/base/xxhash.hpp"
#include "w2stree/file/digest.hpp"
#include "w2stree/file/forest_file.hpp"
#include "w2stree/forest/node_columns.hpp"
#include "w2stree/pairs/pairs.hpp"
#include "w2stree/search/search.hpp"

namespace w2stree {
namespace {

using Bytes = std::vector<std::byte>;

template <class T>
T read(const Bytes& bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

void put(Bytes& bytes, std::size_t offset, std::uint64_t value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

struct Section {
  std::size_t offset, size, entry;
};

// Version 1 has fewer.
std::size_t num_sections(const Bytes& file) {
  return read<std::uint32_t>(file, 8) == 1 ? 21 : kNumSections;
}

// As the table says, where that lies inside the file.
std::vector<Section> sections_of(const Bytes& file) {
  std::vector<Section> sections;
  for (std::size_t i = 0; i < num_sections(file); ++i) {
    const std::size_t entry = kTableOffset + i * kEntrySize;
    const auto offset = read<std::uint64_t>(file, entry + 24);
    const auto size = read<std::uint64_t>(file, entry + 32);
    if (offset <= file.size() && size <= file.size() - offset) {
      sections.push_back({offset, size, entry});
    }
  }
  return sections;
}

void seal(Bytes& file) {
  if (file.size() < kTableOffset) return;
  const std::size_t end = kTableOffset + num_sections(file) * kEntrySize;
  if (file.size() < end + 8) return;
  for (const auto& [offset, size, entry] : sections_of(file)) {
    put(file, entry + 40, xxh64(std::span(file).subspan(offset, size)));
  }
  put(file, 16, file.size());
  put(file, end, xxh64(std::span(file).first(end)));
}

TextTable texts(std::size_t count) {
  std::vector<std::uint8_t> data;
  std::vector<std::int64_t> offset = {0};
  for (std::size_t i = 0; i < count; ++i) {
    data.push_back(static_cast<std::uint8_t>('a' + i % 26));
    offset.push_back(static_cast<std::int64_t>(data.size()));
  }
  return {std::move(data), std::move(offset)};
}

Bytes encode(const ForestFile& file) {
  Bytes bytes;
  const ForestFileBytes content(file);
  for (const auto piece : content.pieces()) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

// Up to eight short trajectories of two trees, three actions and two observations; with or without
// a rule and what it merged.
Bytes grown(Input& input) {
  std::vector<std::int32_t> action_id, observation_id, tree_id;
  std::vector<std::int64_t> step_offset = {0};
  std::vector<double> total_return;
  for (int i = input.byte() % 9; i > 0; --i) {
    const std::uint8_t head = input.byte();
    tree_id.push_back(head & 1);
    total_return.push_back((head >> 1 & 7) / 8.0);
    for (int step = head >> 4; step > 0; --step) {
      const std::uint8_t choice = input.byte();
      action_id.push_back(choice % 3);
      observation_id.push_back(choice / 3 % 2);
    }
    step_offset.push_back(static_cast<std::int64_t>(action_id.size()));
  }
  const Forest forest =
      build_forest({action_id, observation_id, step_offset, tree_id, total_return, 2});
  ForestFile file = {forest, texts(2), texts(3), texts(2), 0};
  if (input.byte() % 2 == 1) {
    file.rule = texts(3);
    file.min_similarity = std::vector<double>{0.5};
    file.merges = {std::vector<std::int32_t>{0, 1}, std::vector<std::int32_t>{1, 0},
                   std::vector<std::int64_t>{3, 1}};
  }
  return encode(file);
}

// Adds to elements of sections, or overwrites them.
void change(Bytes& file, Input& input) {
  const std::vector<Section> sections = sections_of(file);
  while (!input.empty()) {
    const std::uint8_t how = input.byte();
    const Section& section = sections[how % kNumSections];
    const std::size_t num_words = section.size / 4;
    if (num_words == 0) continue;
    const std::size_t place = section.offset + input.byte() % num_words * 4;
    std::uint32_t word = read<std::uint32_t>(file, place);
    if (how < 128) {
      word += static_cast<std::uint32_t>(static_cast<std::int8_t>(input.byte()));
    } else {
      word = input.word();
    }
    std::memcpy(file.data() + place, &word, sizeof word);
  }
}

void build_again(const Forest& forest) {
  std::vector<std::int32_t> action_id, observation_id, tree_id;
  std::vector<std::int64_t> step_offset = {0};
  for (const std::int32_t end : forest.end_chain) {
    std::vector<std::int32_t> path;
    for (std::int32_t chain = end; chain != kNone; chain = forest.chains.parent[at(chain)]) {
      for (std::int32_t node = last_node(forest, chain);
           node >= forest.chains.first_node[at(chain)]; --node) {
        path.push_back(node);
      }
    }
    const std::int32_t root = chain_of(forest, path.back());
    std::int32_t tree = 0;
    while (forest.root_chain[at(tree)] != root) ++tree;
    tree_id.push_back(tree);
    for (std::size_t i = path.size() - 1; i-- > 0;) {
      action_id.push_back(forest.action_id[at(path[i])]);
      observation_id.push_back(forest.observation_id[at(path[i])]);
    }
    step_offset.push_back(static_cast<std::int64_t>(action_id.size()));
  }
  const Forest again = build_forest(
      {action_id, observation_id, step_offset, tree_id, forest.total_return, num_trees(forest)});
  const Chains& left = forest.chains;
  const Chains& right = again.chains;
  expect(forest.action_id == again.action_id, "action_id");
  expect(forest.observation_id == again.observation_id, "observation_id");
  expect(left.first_node == right.first_node, "first_node");
  expect(left.parent == right.parent, "parent");
  expect(left.subtree_end == right.subtree_end, "subtree_end");
  expect(left.depth == right.depth, "depth");
  expect(left.num_actions == right.num_actions, "num_actions");
  expect(left.num_trajectories == right.num_trajectories, "num_trajectories");
  expect(left.num_terminal == right.num_terminal, "num_terminal");
  expect(left.first_trajectory == right.first_trajectory, "first_trajectory");
  expect(forest.root_chain == again.root_chain, "root_chain");
  expect(forest.end_chain == again.end_chain, "end_chain");
  expect(forest.trajectory_order == again.trajectory_order, "trajectory_order");
}

void walk(const ForestFile& file) {
  const Forest& forest = file.forest;
  for (const auto expand :
       {node_parent, node_subtree_end, node_depth, node_num_children, node_num_actions,
        node_num_trajectories, node_num_terminal, node_first_trajectory}) {
    expect(expand(forest, {}).size() == at(num_nodes(forest)), "an array by node");
  }
  node_return_sum(forest);
  root_node(forest);
  end_node(forest);
  std::int64_t num_pairs = 0;
  for (const std::int64_t count : count_pairs(forest, {})) num_pairs += count;
  if (num_pairs < 10000) {
    expect(enumerate_pairs(forest, {}).chosen.size() == static_cast<std::size_t>(num_pairs),
           "pairs");
  }
  search(forest, {.num_simulations = 5});
  digest(forest, hash_texts(file.task_ids), hash_texts(file.actions),
         hash_texts(file.observations));
}

std::optional<ForestFile> parse(const Bytes& bytes) {
  try {
    return parse_forest_file(bytes, nullptr);
  } catch (const ForestFileError& error) {
    expect(std::string_view(error.what()).starts_with("byte "), "an error without a place");
    return std::nullopt;
  }
}

}  // namespace
}  // namespace w2stree

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace w2stree;
  if (size == 0) return 0;
  Input input({data + 1, size - 1});
  Bytes bytes;
  if (data[0] % 3 == 2) {
    bytes = grown(input);
    expect(parse(bytes).has_value(), "a forest that was written cannot be read");
    change(bytes, input);
  } else {
    const auto rest = std::as_bytes(input.rest());
    bytes.assign(rest.begin(), rest.end());
  }
  if (data[0] % 3 != 0) seal(bytes);
  if (const auto file = parse(bytes)) {
    walk(*file);
    build_again(file->forest);
    const Bytes again = encode(*file);
    if (read<std::uint32_t>(bytes, 8) == 1) {  // written as the version of today
      const auto same = parse(again);
      expect(same && num_texts(same->rule) == 0 && encode(*same) == again, "an old file");
    } else {
      expect(again == bytes, "written as other bytes");
    }
  }
  return 0;
}
