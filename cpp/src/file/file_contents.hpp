// Verifies what the sections of a forest file hold.
#pragma once

#include <array>
#include <cstdint>

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

/// Sizes must have been checked. Interruptible.
Scan scan_sections(const ForestFile& file, const Execution& execution);

/// Throws ForestFileError at the first text, id or rule of forest.hpp that is broken.
void check_contents(const ForestFile& file, const Header& header, const Scan& scan,
                    const Execution& execution);

}  // namespace w2stree
