// The sections of a forest file and the header that lists them; picture in forest_file.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string_view>
#include <type_traits>

#include "w2stree/forest_file.hpp"
#include "w2stree/xxhash.hpp"

namespace w2stree {

using Bytes = std::span<const std::byte>;

inline constexpr std::string_view kMagic = "\x89W2ST\r\n\x1a";
inline constexpr std::uint32_t kVersion = 2;
inline constexpr std::uint32_t kVersionWithoutRule = 1;
inline constexpr std::size_t kNameSize = 24;

struct Entry {
  char name[kNameSize] = {};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(Entry) == kEntrySize && std::is_trivially_copyable_v<Entry>);

struct Header {
  char magic[8] = {};
  std::uint32_t version = kVersion;
  std::uint32_t num_sections = kNumSections;
  std::uint64_t file_size = 0;
  std::int64_t num_errors = 0;
  Entry table[kNumSections];
  std::uint64_t checksum = 0;
};
static_assert(offsetof(Header, table) == kTableOffset);
static_assert(offsetof(Header, checksum) == kChecksumOffset);
static_assert(std::is_trivially_copyable_v<Header>);

constexpr std::uint64_t aligned(std::uint64_t offset) {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

constexpr std::size_t num_sections(std::uint32_t version) {
  return version == kVersionWithoutRule ? 21 : kNumSections;
}

/// Where the header's checksum lies, just behind the table.
constexpr std::size_t checksum_offset(std::uint32_t version) {
  return kTableOffset + num_sections(version) * kEntrySize;
}
static_assert(checksum_offset(kVersion) == kChecksumOffset);

// What a section has one element for; "ends" are one more.
enum class By {
  kNode,
  kChain,
  kChainEnd,
  kTreeEnd,
  kTrajectory,
  kByte,
  kTextEnd,
  kRuleEnd,
  kSimilarity,
  kMerge,
};

// The one list of sections: calls visit(name, by, column) in the order of the file.
template <class File, class Visit>
void for_each_section(File& file, Visit visit) {
  auto& forest = file.forest;
  auto& chains = forest.chains;
  visit("action_id", By::kNode, forest.action_id);
  visit("observation_id", By::kNode, forest.observation_id);
  visit("first_node", By::kChainEnd, chains.first_node);
  visit("parent", By::kChain, chains.parent);
  visit("subtree_end", By::kChain, chains.subtree_end);
  visit("depth", By::kChain, chains.depth);
  visit("num_actions", By::kChain, chains.num_actions);
  visit("num_trajectories", By::kChain, chains.num_trajectories);
  visit("num_terminal", By::kChain, chains.num_terminal);
  visit("first_trajectory", By::kChain, chains.first_trajectory);
  visit("return_sum", By::kChain, chains.return_sum);
  visit("root_chain", By::kTreeEnd, forest.root_chain);
  visit("end_chain", By::kTrajectory, forest.end_chain);
  visit("trajectory_order", By::kTrajectory, forest.trajectory_order);
  visit("total_return", By::kTrajectory, forest.total_return);
  visit("task_ids.data", By::kByte, file.task_ids.data);
  visit("task_ids.offset", By::kTreeEnd, file.task_ids.offset);
  visit("actions.data", By::kByte, file.actions.data);
  visit("actions.offset", By::kTextEnd, file.actions.offset);
  visit("observations.data", By::kByte, file.observations.data);
  visit("observations.offset", By::kTextEnd, file.observations.offset);
  visit("rule.data", By::kByte, file.rule.data);  // from here on not in version 1
  visit("rule.offset", By::kRuleEnd, file.rule.offset);
  visit("min_similarity", By::kSimilarity, file.min_similarity);
  visit("merges.made", By::kMerge, file.merges.made);
  visit("merges.seen", By::kMerge, file.merges.seen);
  visit("merges.count", By::kMerge, file.merges.count);
}

/// The first two sections of the list: the ones that hold ids of texts.
inline constexpr std::int32_t kActionId = 0;
inline constexpr std::int32_t kObservationId = 1;

template <class... Parts>
[[noreturn]] void refuse_at(std::size_t byte, const Parts&... parts) {
  std::ostringstream message;
  message << "byte " << byte;
  (message << ... << parts);
  throw ForestFileError(message.str());
}

}  // namespace w2stree
