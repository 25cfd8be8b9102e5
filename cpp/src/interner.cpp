#include "w2stree/interner.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace w2stree {
namespace {

// Both halves of a 128-bit product, folded: every bit of the inputs reaches every bit of the
// result (the mixing step of wyhash).
std::uint64_t fold(std::uint64_t left, std::uint64_t right) {
#if defined(_MSC_VER) && !defined(__clang__)
  std::uint64_t high = 0;
  const std::uint64_t low = _umul128(left, right, &high);
  return low ^ high;
#else
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(left) * right;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#endif
}

template <class T>
std::uint64_t load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

constexpr std::uint64_t kFirst = 0xa0761d6478bd642f;  // odd, half of their bits set
constexpr std::uint64_t kSecond = 0xe7037ed1a0b428db;

// How many texts are looked up at once. Enough to hide a trip to memory.
constexpr std::size_t kBlock = 32;

bool is_continuation(unsigned char byte) {
  return (byte & 0xc0) == 0x80;
}

// Length of the character at `text`, of which `size` >= 1 bytes are left; 0 where there is none.
std::size_t character_size(const unsigned char* text, std::size_t size) {
  const unsigned char first = text[0];
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || length > size) return 0;
  if (!std::all_of(text + 1, text + length, is_continuation)) return 0;
  const unsigned char second = text[1];
  if (first == 0xe0 && second < 0xa0) return 0;   // overlong
  if (first == 0xed && second >= 0xa0) return 0;  // surrogates
  if (first == 0xf0 && second < 0x90) return 0;   // overlong
  if (first == 0xf4 && second >= 0x90) return 0;  // beyond U+10FFFF
  return length;
}

}  // namespace

std::uint64_t hash_text(std::string_view text) {
  const char* bytes = text.data();
  std::size_t left = text.size();
  std::uint64_t state = kFirst ^ left;
  for (; left > 16; left -= 16, bytes += 16) {
    state = fold(load<std::uint64_t>(bytes) ^ kSecond, load<std::uint64_t>(bytes + 8) ^ state);
  }
  std::uint64_t low = 0;  // the last 16 bytes at most, read as two words that may overlap
  std::uint64_t high = 0;
  if (left >= 8) {
    low = load<std::uint64_t>(bytes);
    high = load<std::uint64_t>(bytes + left - 8);
  } else if (left >= 4) {
    low = load<std::uint32_t>(bytes);
    high = load<std::uint32_t>(bytes + left - 4);
  } else if (left > 0) {
    low = load<std::uint8_t>(bytes) << 16 | load<std::uint8_t>(bytes + left / 2) << 8 |
          load<std::uint8_t>(bytes + left - 1);
  }
  return fold(kFirst, fold(low ^ kSecond, high ^ state));
}

bool is_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t i = 0;
  while (i < text.size()) {
    if (i + 8 <= text.size() && (load<std::uint64_t>(text.data() + i) & 0x8080808080808080) == 0) {
      i += 8;  // ASCII, as most text is
      continue;
    }
    const std::size_t size = character_size(bytes + i, text.size() - i);
    if (size == 0) return false;
    i += size;
  }
  return true;
}

std::int32_t Interner::find_or_add(std::string_view text, std::uint64_t hash) {
  const std::int32_t num_texts = size();
  const std::int32_t id = table_.find_or_add(
      hash, [&](std::int32_t candidate) { return this->text(candidate) == text; });
  if (id == num_texts) {
    data_.insert(data_.end(), text.begin(), text.end());
    offset_.push_back(static_cast<std::int64_t>(data_.size()));
  }
  return id;
}

std::int32_t Interner::intern(std::string_view text) {
  return find_or_add(text, hash_text(text));
}

void Interner::intern(std::span<const std::string_view> texts, std::int32_t* id) {
  std::array<std::uint64_t, kBlock> hash;
  while (!texts.empty()) {
    const std::size_t size = std::min(kBlock, texts.size());
    for (std::size_t i = 0; i < size; ++i) {
      hash[i] = hash_text(texts[i]);
      table_.prefetch_slot(hash[i]);
    }
    for (std::size_t i = 0; i < size; ++i) *id++ = find_or_add(texts[i], hash[i]);
    texts = texts.subspan(size);
  }
}

}  // namespace w2stree
