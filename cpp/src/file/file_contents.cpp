#include "file/file_contents.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "base/parallel.hpp"
#include "file/forest_check.hpp"

namespace w2stree {
namespace {

// The texts of `rule`, in order.
enum class Function : std::uint8_t { kNormalizeObservation, kEmbed, kGuard };
constexpr std::size_t kNumFunctions = 3;

constexpr std::size_t kPiece = 1 << 19;  // bytes: at home in the cache, and soon done

// An error about what a section holds, at its place in the file.
[[noreturn]] void refuse_element(const ForestFile& file, const Header& header,
                                 std::string_view column, std::size_t index,
                                 std::string_view expected) {
  const Entry* entry = header.table;
  for_each_section(file, [&](std::string_view name, By, const auto& values) {
    const std::size_t byte = (entry++)->offset + index * sizeof(values[0]);
    if (name != column) return;
    if (index >= values.size()) refuse_at(byte, ", ", name, "[", index, "]: expected ", expected);
    refuse_at(byte, ", ", name, "[", index, "]=", +values[index], ": expected ", expected);
  });
  throw ForestFileError("unreachable: no section has this name");
}

void check_texts(const ForestFile& file, const Header& header, const Execution& execution) {
  const std::pair<std::string_view, const TextTable*> tables[] = {
      {"task_ids", &file.task_ids},
      {"actions", &file.actions},
      {"observations", &file.observations},
      {"rule", &file.rule}};
  std::array<std::optional<TextDefect>, std::size(tables)> defects;
  parallel_for(static_cast<std::int32_t>(std::size(tables)), execution,
               [&](std::int32_t i, std::int32_t, Watch&) {
                 defects[at(i)] = find_defect(*tables[at(i)].second);
               });
  for (std::size_t i = 0; i < defects.size(); ++i) {
    if (!defects[i]) continue;
    const std::string column = std::string(tables[i].first) + "." + std::string(defects[i]->column);
    refuse_element(file, header, column, defects[i]->index, defects[i]->expected);
  }
}

std::size_t num_outside(std::span<const std::int32_t> ids, std::int32_t num_ids) {
  std::int32_t count = 0;  // fits: pieces are small
  for (const std::int32_t id : ids) count += static_cast<std::int32_t>((id < 0) | (id >= num_ids));
  return at(count);
}

// Bytes come from memory once: a piece is still in the cache when it is hashed and counted.
template <class Fetch, class Count>
std::uint64_t scan_pieces(Bytes bytes, Watch& watch, Fetch fetch, Count count) {
  Xxh64 hash;
  std::size_t begin = 0;
  for (; bytes.size() - begin > kPiece; begin += kPiece) {
    fetch(begin, begin + kPiece);
    hash.update(bytes.subspan(begin, kPiece));
    count(begin, kPiece);
    watch.check();
  }
  fetch(begin, bytes.size());
  count(begin, bytes.size() - begin);
  return hash.finish(bytes.subspan(begin));
}

// One id in each root's place is none; whatever else has no text breaks the rule.
void check_ids(const ForestFile& file, const Header& header, std::string_view name,
               const Column<std::int32_t>& id, std::size_t num_ids, std::size_t num_outside) {
  const Forest& forest = file.forest;
  const auto root = [&](std::int32_t tree) {
    return forest.chains.first_node[at(forest.root_chain[at(tree)])];
  };
  for (std::int32_t tree = 0; tree < num_trees(forest); ++tree) {
    const std::size_t node = at(root(tree));
    if (id[node] != kNone) refuse_element(file, header, name, node, "-1 at a root");
  }
  if (num_outside == at(num_trees(forest))) return;
  for (std::int32_t node = 0, tree = 0; node < num_nodes(forest); ++node) {
    if (tree < num_trees(forest) && node == root(tree)) {
      ++tree;
    } else if (id[at(node)] < 0 || at(id[at(node)]) >= num_ids) {
      refuse_element(file, header, name, at(node), "the number of a text");
    }
  }
}

bool names_function(const TextTable& rule, Function function) {
  return num_texts(rule) != 0 && !text(rule, static_cast<std::size_t>(function)).empty();
}

// What cannot be told apart from another way of saying it is refused: one rule, one spelling.
void check_rule(const ForestFile& file, const Header& header) {
  const auto& similarity = file.min_similarity;
  const bool is_similar = names_function(file.rule, Function::kEmbed);
  if (is_similar != (similarity.size() == 1)) {
    refuse_element(
        file, header, "min_similarity", 0,
        is_similar ? "a number, since `rule` names embed" : "nothing, since `rule` names no embed");
  }
  if (is_similar && !(similarity[0] > 0.0 && similarity[0] <= 1.0)) {
    refuse_element(file, header, "min_similarity", 0, "a number in (0, 1]");
  }
  if (!is_similar && names_function(file.rule, Function::kGuard)) {
    refuse_element(file, header, "rule.offset", 3, "no guard, since `rule` names no embed");
  }
}

void check_merges(const ForestFile& file, const Header& header) {
  const auto& [made, seen, count] = file.merges;
  if (!made.empty() && file.min_similarity.empty()) {
    refuse_element(file, header, "merges.made", 0, "nothing, since the rule is exact or unknown");
  }
  const std::size_t num_ids = num_texts(file.observations);
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (made[i] < 0 || at(made[i]) >= num_ids) {
      refuse_element(file, header, "merges.made", i, "the number of a text");
    }
    if (seen[i] < 0 || at(seen[i]) >= num_ids || seen[i] == made[i]) {
      refuse_element(file, header, "merges.seen", i, "the number of another text than made");
    }
    if (i > 0 && std::pair(made[i - 1], seen[i - 1]) >= std::pair(made[i], seen[i])) {
      refuse_element(file, header, "merges.seen", i, "merges in ascending order");
    }
    if (count[i] < 1) refuse_element(file, header, "merges.count", i, "at least 1");
  }
}

}  // namespace

void check_sizes(const ForestFile& file, const Header& header) {
  const std::size_t num_chains = file.forest.chains.parent.size();
  const auto expected = [&](By by, std::size_t size) -> std::size_t {
    switch (by) {
      case By::kNode:
        return file.forest.action_id.size();
      case By::kChain:
        return num_chains;
      case By::kChainEnd:
        return num_chains + 1;
      case By::kTreeEnd:
        return std::max<std::size_t>(file.forest.root_chain.size(), 1);
      case By::kTrajectory:
        return file.forest.end_chain.size();
      case By::kTextEnd:
        return std::max<std::size_t>(size, 1);
      case By::kRuleEnd:
        return size <= 1 ? 1 : kNumFunctions + 1;
      case By::kSimilarity:
        return std::min<std::size_t>(size, 1);
      case By::kMerge:
        return file.merges.made.size();
      case By::kByte:
        break;
    }
    return size;
  };
  constexpr auto kMost = static_cast<std::size_t>(kMaxId);  // of anything that has an id
  for_each_section(file, [&](std::string_view name, By by, const auto& column) {
    const std::size_t size = column.size();
    if (size != expected(by, size)) {
      refuse_element(file, header, name, std::min(size, expected(by, size)),
                     std::to_string(expected(by, size)) + " elements");
    }
    const bool is_end = by == By::kChainEnd || by == By::kTreeEnd || by == By::kTextEnd;
    if (by != By::kByte && size - is_end > kMost) {
      refuse_element(file, header, name, size, "fewer elements: ids have 31 bits");
    }
  });
}

Scan scan_sections(const ForestFile& file, const Fetch& fetch, const Execution& execution) {
  std::array<Bytes, kNumSections> sections;
  std::size_t next = 0;
  for_each_section(file, [&](std::string_view, By, const auto& column) {
    sections[next++] = std::as_bytes(std::span(column.data(), column.size()));
  });
  const std::span<const std::int32_t> ids[] = {file.forest.action_id, file.forest.observation_id};
  const std::size_t num_ids[] = {num_texts(file.actions), num_texts(file.observations)};
  Scan scan;
  parallel_for(kNumSections, execution, [&](std::int32_t section, std::int32_t, Watch& watch) {
    const std::size_t i = at(section);
    scan.checksum[i] = scan_pieces(
        sections[i], watch, [&](std::size_t begin, std::size_t end) { fetch(i, begin, end); },
        [&](std::size_t begin, std::size_t size) {
          if (section > kObservationId) return;
          scan.num_outside[i] +=
              num_outside(ids[i].subspan(begin / sizeof(std::int32_t), size / sizeof(std::int32_t)),
                          static_cast<std::int32_t>(num_ids[i]));
        });
  });
  return scan;
}

void check_contents(const ForestFile& file, const Header& header, const Scan& scan,
                    const Execution& execution) {
  check_texts(file, header, execution);
  const auto defect = find_defect(file.forest, execution);
  if (defect) refuse_element(file, header, defect->column, defect->index, defect->expected);
  check_ids(file, header, "action_id", file.forest.action_id, num_texts(file.actions),
            scan.num_outside[0]);
  check_ids(file, header, "observation_id", file.forest.observation_id,
            num_texts(file.observations), scan.num_outside[1]);
  check_rule(file, header);
  check_merges(file, header);
}

}  // namespace w2stree
