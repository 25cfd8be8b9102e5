#include "w2stree/file/forest_file.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "file/file_contents.hpp"
#include "file/file_sections.hpp"

namespace w2stree {
namespace {

constexpr std::array<std::byte, kAlignment> kZeros = {};

void check_host() {
  if constexpr (std::endian::native != std::endian::little) {
    throw ForestFileError("forest files are read where they lie: this host is not little-endian");
  }
}

Header read_header(Bytes bytes) {
  Header header;  // entries that its version does not have stay empty
  const std::size_t begin = std::min(bytes.size(), kMagic.size());
  if (bytes.empty() || std::memcmp(bytes.data(), kMagic.data(), begin) != 0) {
    refuse_at(0, ": expected the mark of a forest file");
  }
  if (bytes.size() < kTableOffset) refuse_at(bytes.size(), ": the header ends early");
  const auto fields = std::as_writable_bytes(std::span(&header, 1)).first(kTableOffset);
  std::memcpy(fields.data(), bytes.data(), fields.size());
  if (header.version != kVersion && header.version != kVersionWithoutRule) {
    refuse_at(offsetof(Header, version), ", version=", header.version, ": expected ",
              kVersionWithoutRule, " or ", kVersion);
  }
  const std::size_t end = checksum_offset(header.version);
  if (bytes.size() < end + sizeof header.checksum) {
    refuse_at(bytes.size(), ": the header ends early");
  }
  std::memcpy(header.table, bytes.data() + kTableOffset, end - kTableOffset);
  std::memcpy(&header.checksum, bytes.data() + end, sizeof header.checksum);
  if (header.checksum != xxh64(bytes.first(end))) {
    refuse_at(end, ": the header's checksum does not match");
  }
  if (header.num_sections != num_sections(header.version)) {
    refuse_at(offsetof(Header, num_sections), ", num_sections=", header.num_sections, ": expected ",
              num_sections(header.version));
  }
  if (header.file_size != bytes.size()) {
    refuse_at(std::min<std::uint64_t>(bytes.size(), header.file_size), ": the file has ",
              bytes.size(), " bytes; expected ", header.file_size);
  }
  if (header.num_errors < 0) {
    refuse_at(offsetof(Header, num_errors), ", num_errors=", header.num_errors,
              ": expected at least 0");
  }
  return header;
}

// Where what comes before a section ends: the section before it, or the header.
std::uint64_t end_before(const Header& header, std::size_t section) {
  if (section == 0) return checksum_offset(header.version) + sizeof header.checksum;
  return header.table[section - 1].offset + header.table[section - 1].size;
}

// Where sections lie follows from their sizes; the table must say the same.
class SectionReader {
 public:
  SectionReader(Bytes bytes, const Header& header)
      : bytes_(bytes), header_(header), end_(end_before(header, 0)) {}

  bool is_done() const { return number_ == num_sections(header_.version); }

  Bytes next(std::string_view name, std::size_t element_size) {
    const Entry& entry = header_.table[number_];
    const std::size_t place = kTableOffset + number_++ * kEntrySize;
    if (!has_name(entry, name)) refuse_at(place, ": expected the entry of section ", name);
    const std::uint64_t offset = aligned(end_);
    if (entry.offset != offset) {
      refuse_at(place + offsetof(Entry, offset), ", offset of ", name, "=", entry.offset,
                ": expected ", offset);
    }
    if (offset > bytes_.size() || entry.size > bytes_.size() - offset ||
        entry.size % element_size != 0) {
      refuse_at(place + offsetof(Entry, size), ", size of ", name, "=", entry.size,
                ": expected a multiple of ", element_size, " that fits in the file");
    }
    end_ = offset + entry.size;
    return bytes_.subspan(offset, entry.size);
  }

  void finish() const {
    if (end_ != bytes_.size()) refuse_at(end_, ": expected the end of the file");
  }

 private:
  static bool has_name(const Entry& entry, std::string_view name) {
    char padded[kNameSize] = {};
    name.copy(padded, kNameSize);
    return std::memcmp(entry.name, padded, kNameSize) == 0;
  }

  Bytes bytes_;
  const Header& header_;
  std::size_t number_ = 0;
  std::uint64_t end_;
};

// Where sections go, checksums still missing.
Header lay_out(const ForestFile& file) {
  Header header;
  kMagic.copy(header.magic, sizeof header.magic);
  header.num_errors = file.num_errors;
  std::uint64_t end = sizeof header;
  Entry* entry = header.table;
  for_each_section(file, [&](std::string_view name, By, const auto& column) {
    name.copy(entry->name, kNameSize);
    entry->offset = aligned(end);
    entry->size = column.num_bytes();
    end = entry->offset + entry->size;
    ++entry;
  });
  header.file_size = end;
  return header;
}

// Of what was scanned: the zeros before each section, and its bytes.
void check_bytes(Bytes bytes, const Header& header, const Scan& scan) {
  for (std::size_t i = 0; i < num_sections(header.version); ++i) {
    const Entry& entry = header.table[i];
    for (std::uint64_t place = end_before(header, i); place < entry.offset; ++place) {
      if (bytes[place] != std::byte{0}) refuse_at(place, ": expected zeros between sections");
    }
    if (scan.checksum[i] == entry.checksum) continue;
    refuse_at(entry.offset, ": the checksum of section ", entry.name, " does not match");
  }
}

// `fetch` makes bytes [begin, end) of the file be there.
template <class Fetch>
ForestFile read(Bytes bytes, std::shared_ptr<const void> owner, const Fetch& fetch,
                const Execution& execution) {
  check_host();
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(double) != 0) {
    refuse("the bytes of a forest file must lie at a multiple of ", alignof(double));
  }
  fetch(0, std::min(bytes.size(), sizeof(Header)));
  const Header header = read_header(bytes);
  ForestFile file;
  file.num_errors = header.num_errors;
  SectionReader reader(bytes, header);
  for_each_section(file, [&]<class T>(std::string_view name, By, Column<T>& column) {
    if (reader.is_done()) return;
    const Bytes section = reader.next(name, sizeof(T));
    // Aligned, as checked, and of the type the bytes were written from.
    column = {{reinterpret_cast<const T*>(section.data()), section.size() / sizeof(T)}, owner};
  });
  reader.finish();
  const auto fetch_of = [&](std::size_t section, std::size_t begin, std::size_t end) {
    if (section >= num_sections(header.version)) return;
    const std::uint64_t offset = header.table[section].offset;
    fetch(begin == 0 ? end_before(header, section) : offset + begin, offset + end);
  };
  const Scan scan = scan_sections(file, fetch_of, execution);
  check_bytes(bytes, header, scan);
  check_sizes(file, header);
  check_contents(file, header, scan, execution);
  return file;
}

}  // namespace

ForestFileBytes::ForestFileBytes(ForestFile file, const Execution& execution)
    : file_(std::move(file)), header_(sizeof(Header)) {
  check_host();
  Header header = lay_out(file_);
  check_sizes(file_, header);
  const auto is_there = [](std::size_t, std::size_t, std::size_t) {};
  const Scan scan = scan_sections(file_, is_there, execution);
  check_contents(file_, header, scan, execution);
  for (std::size_t i = 0; i < kNumSections; ++i) header.table[i].checksum = scan.checksum[i];
  header.checksum = xxh64(std::as_bytes(std::span(&header, 1)).first(kChecksumOffset));
  std::memcpy(header_.data(), &header, sizeof header);

  std::uint64_t end = sizeof header;
  const Entry* entry = header.table;
  pieces_.emplace_back(header_);
  for_each_section(file_, [&](std::string_view, By, const auto& column) {
    pieces_.push_back(Bytes(kZeros).first((entry++)->offset - end));
    pieces_.push_back(std::as_bytes(std::span(column.data(), column.size())));
    end = aligned(end) + column.num_bytes();
  });
}

ForestFile parse_forest_file(Bytes bytes, std::shared_ptr<const void> owner,
                             const Execution& execution) {
  return read(bytes, std::move(owner), [](std::size_t, std::size_t) {}, execution);
}

ForestFile read_forest_file(const ReadAt& read_at, std::span<std::byte> memory,
                            std::shared_ptr<const void> owner, const Execution& execution) {
  const auto fetch = [&](std::size_t begin, std::size_t end) {
    const std::size_t size = read_at(begin, memory.subspan(begin, end - begin));
    if (size == end - begin) return;
    refuse_at(memory.size(), ": expected the end of the file, which became shorter meanwhile");
  };
  return read(memory, std::move(owner), fetch, execution);
}

}  // namespace w2stree
