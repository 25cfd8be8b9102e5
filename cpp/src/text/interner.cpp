#include "w2stree/text/interner.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/keyed_hash.hpp"

namespace w2stree {
namespace {

template <class T>
std::uint64_t load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

const auto& kKey = kHashKey;  // a different pair for each quarter of a block

// Where the four quarters of a text of 16 to 64 bytes begin, 16 bytes each: they overlap in the
// shorter ones and cover every byte of all. One way for all these lengths, because a branch that
// depends on a length is mispredicted half the time and then costs more than the work.
//
//   40 bytes   ├── 0 ──┤        ├── 3 ──┤
//                      ├── 1 ──┤
//                     ├── 2 ──┤
struct Quarters {
  explicit Quarters(std::size_t size)
      : begin{0, std::min<std::size_t>(16, size - 16), std::max<std::size_t>(32, size) - 32,
              size - 16} {}

  std::size_t begin[4];
};

constexpr std::size_t kMinBlock = 16;
constexpr std::size_t kMaxBlock = 64;

std::uint64_t hash_block(const char* bytes, std::size_t size, std::uint64_t seed) {
  const Quarters quarter(size);
  std::uint64_t sum = seed;
  for (std::size_t i = 0; i < 4; ++i) {
    const char* at = bytes + quarter.begin[i];
    sum += fold(load<std::uint64_t>(at) ^ kKey[2 * i] ^ seed,
                load<std::uint64_t>(at + 8) ^ kKey[2 * i + 1]);
  }
  return sum;
}

std::uint64_t hash_short(const char* bytes, std::size_t size, std::uint64_t seed) {
  std::uint64_t low = 0;  // two words that may overlap
  std::uint64_t high = 0;
  if (size >= 8) {
    low = load<std::uint64_t>(bytes);
    high = load<std::uint64_t>(bytes + size - 8);
  } else if (size >= 4) {
    low = load<std::uint32_t>(bytes);
    high = load<std::uint32_t>(bytes + size - 4);
  } else if (size > 0) {
    low = load<std::uint8_t>(bytes) << 16 | load<std::uint8_t>(bytes + size / 2) << 8 |
          load<std::uint8_t>(bytes + size - 1);
  }
  return fold(low ^ kKey[0], high ^ kKey[1] ^ seed);
}

std::uint64_t hash(std::string_view text) {
  const char* bytes = text.data();
  std::size_t left = text.size();
  std::uint64_t state = left * kKey[7];
  for (; left > kMaxBlock; left -= kMaxBlock, bytes += kMaxBlock) {
    state = fold(hash_block(bytes, kMaxBlock, state), kKey[6]);
  }
  if (text.size() > kMaxBlock && left < kMinBlock) {
    state = hash_block(bytes + left - kMinBlock, kMinBlock, state);  // some bytes once more
  } else if (left < kMinBlock) {
    state = hash_short(bytes, left, state);
  } else {
    state = hash_block(bytes, left, state);
  }
  return fold(state ^ kKey[2], kKey[3]);
}

bool is_equal(std::string_view left, std::string_view right) {
  const std::size_t size = left.size();
  if (size != right.size()) return false;
  if (size < kMinBlock || size > kMaxBlock) return left == right;
  const Quarters quarter(size);
  std::uint64_t difference = 0;
  for (const std::size_t begin : quarter.begin) {
    for (const std::size_t i : {begin, begin + 8}) {
      difference |= load<std::uint64_t>(left.data() + i) ^ load<std::uint64_t>(right.data() + i);
    }
  }
  return difference == 0;
}

// How many texts are looked up at once. Enough to hide a trip to memory.
constexpr std::size_t kBlock = 32;

bool is_ascii(std::string_view text) {
  const char* bytes = text.data();
  std::uint64_t bits = 0;
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) bits |= load<std::uint64_t>(bytes + i);
  if (i > 0) {
    bits |= load<std::uint64_t>(bytes + text.size() - 8);  // the last bytes, some of them again
  } else {
    for (; i < text.size(); ++i) bits |= load<std::uint8_t>(bytes + i);
  }
  return (bits & 0x8080808080808080) == 0;
}

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
  return hash(text);
}

bool is_utf8(std::string_view text) {
  if (is_ascii(text)) return true;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t size = character_size(bytes + i, text.size() - i);
    if (size == 0) return false;
    i += size;
  }
  return true;
}

std::int32_t Interner::find_or_add(std::string_view text, std::uint64_t hash) {
  const std::int32_t num_texts = size();
  const std::int32_t id = table_.find_or_add(
      hash, [&](std::int32_t candidate) { return is_equal(this->text(candidate), text); });
  if (id == num_texts) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    data_.insert(data_.end(), bytes, bytes + text.size());
    offset_.push_back(static_cast<std::int64_t>(data_.size()));
  }
  return id;
}

std::int32_t Interner::intern(std::string_view text) {
  return find_or_add(text, hash(text));
}

void Interner::intern(std::span<const std::string_view> texts, std::int32_t* id) {
  std::array<std::uint64_t, kBlock> hashes;
  while (!texts.empty()) {
    const std::size_t size = std::min(kBlock, texts.size());
    for (std::size_t i = 0; i < size; ++i) {
      hashes[i] = hash(texts[i]);
      table_.prefetch_slot(hashes[i]);
    }
    for (std::size_t i = 0; i < size; ++i) *id++ = find_or_add(texts[i], hashes[i]);
    texts = texts.subspan(size);
  }
}

}  // namespace w2stree
