// Verifies what the sections of a forest file hold.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "file/file_sections.hpp"
#include "w2stree/base/execution.hpp"

namespace w2stree {

/// What one pass over the bytes of the sections finds out.
struct Scan {
  std::array<std::uint64_t, kNumSections> checksum = {};
  std::array<std::size_t, 2> num_outside = {};  // action and observation ids without a text
};

/// Throws ForestFileError unless columns have the sizes that one another ask for.
void check_sizes(const ForestFile& file, const Header& header);

/// Makes bytes [begin, end) of a section be there, on any thread.
using Fetch = std::function<void(std::size_t section, std::size_t begin, std::size_t end)>;

/// Fetches each piece before it looks at it. Nothing need have been checked; how many ids have no
/// text means something only where sizes are right. Interruptible.
Scan scan_sections(const ForestFile& file, const Fetch& fetch, const Execution& execution);

/// Throws ForestFileError at the first text, id or rule of forest.hpp that is broken.
void check_contents(const ForestFile& file, const Header& header, const Scan& scan,
                    const Execution& execution);

}  // namespace w2stree
