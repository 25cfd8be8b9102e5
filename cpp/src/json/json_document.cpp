#include "json/json_document.hpp"

#include <charconv>
#include <cstring>
#include <limits>
#include <version>

namespace w2stree {
namespace {

constexpr int kMaxLevels = 200;
constexpr std::uint64_t kOnes = 0x0101010101010101;
constexpr std::uint64_t kHighs = 0x8080808080808080;

// Whether one of eight bytes is a quote, a backslash, a control character or beyond ASCII.
bool has_special(std::uint64_t word) {
  const auto has_zero = [](std::uint64_t w) { return (w - kOnes) & ~w; };
  return ((has_zero(word ^ (kOnes * '"')) | has_zero(word ^ (kOnes * '\\')) |
           (word - kOnes * 0x20) | word) &
          kHighs) != 0;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// False where the library has no parser of its own: then others read the text.
bool to_real(const char* begin, const char* end, double& value) {
#if defined(__cpp_lib_to_chars) && __cpp_lib_to_chars >= 201611L
  return std::from_chars(begin, end, value).ec == std::errc();
#else
  static_cast<void>(begin);
  static_cast<void>(end);
  static_cast<void>(value);
  return false;
#endif
}

}  // namespace

const JsonValue* JsonParser::parse(std::string_view text) {
  if (text.size() >= std::numeric_limits<std::uint32_t>::max()) return nullptr;
  at_ = text.data();
  end_ = at_ + text.size();
  levels_ = 0;
  values_.clear();
  written_.clear();
  written_.reserve(text.size());  // what is written out is no longer than what was read
  skip_blanks();
  if (!parse_value()) return nullptr;
  skip_blanks();
  return at_ == end_ ? values_.data() : nullptr;
}

void JsonParser::skip_blanks() {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
}

JsonValue& JsonParser::push(JsonValue::Kind kind) {
  JsonValue& value = values_.emplace_back();
  value.kind_ = kind;
  return value;
}

bool JsonParser::parse_value() {
  if (at_ == end_) return false;
  switch (*at_) {
    case '{':
      return parse_container(JsonValue::Kind::kObject, '}');
    case '[':
      return parse_container(JsonValue::Kind::kArray, ']');
    case '"':
      return parse_text();
    case 't':
      return parse_word("true", JsonValue::Kind::kBool, 1);
    case 'f':
      return parse_word("false", JsonValue::Kind::kBool, 0);
    case 'n':
      return parse_word("null", JsonValue::Kind::kNull, 0);
    default:
      return parse_number();
  }
}

bool JsonParser::parse_word(std::string_view word, JsonValue::Kind kind, std::int64_t value) {
  if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(word)) return false;
  at_ += word.size();
  push(kind).data_.integer = value;
  return true;
}

bool JsonParser::parse_container(JsonValue::Kind kind, char close) {
  if (++levels_ > kMaxLevels) return false;
  const std::size_t place = values_.size();
  push(kind);
  ++at_;
  std::size_t size = 0;
  skip_blanks();
  if (at_ != end_ && *at_ == close) {
    ++at_;
  } else {
    for (char next = ','; next == ','; ++size) {
      skip_blanks();
      if (kind == JsonValue::Kind::kObject) {
        if (at_ == end_ || *at_ != '"' || !parse_text()) return false;
        skip_blanks();
        if (at_ == end_ || *at_++ != ':') return false;
        skip_blanks();
      }
      if (!parse_value()) return false;
      skip_blanks();
      if (at_ == end_) return false;
      next = *at_++;
      if (next != ',' && next != close) return false;
    }
  }
  values_[place].size_ = size;
  values_[place].span_ = static_cast<std::uint32_t>(values_.size() - place);
  --levels_;
  return true;
}

bool JsonParser::parse_text() {
  const char* begin = ++at_;
  if (!skip_plain()) return false;
  if (*at_ == '"') {
    push_text({begin, static_cast<std::size_t>(at_++ - begin)});
    return true;
  }
  const std::size_t place = written_.size();
  for (const char* plain = begin;; plain = at_) {
    if (plain != begin && !skip_plain()) return false;
    written_.insert(written_.end(), plain, at_);
    if (*at_ == '"') break;
    if (!parse_escape()) return false;
  }
  ++at_;
  push_text({written_.data() + place, written_.size() - place});
  return true;
}

void JsonParser::push_text(std::string_view text) {
  JsonValue& value = push(JsonValue::Kind::kText);
  value.data_.text = text.data();
  value.size_ = text.size();
}

// Up to the next quote or backslash; false where none comes, or what stands there may not.
bool JsonParser::skip_plain() {
  for (std::uint64_t word = 0; at_ != end_;) {
    if (end_ - at_ >= 8 && (std::memcpy(&word, at_, 8), !has_special(word))) {
      at_ += 8;
    } else if (*at_ == '"' || *at_ == '\\') {
      return true;
    } else if (static_cast<unsigned char>(*at_) < 0x20 || !skip_utf8()) {
      return false;
    }
  }
  return false;
}

bool JsonParser::skip_utf8() {
  const auto lead = static_cast<unsigned char>(*at_);
  if (lead < 0x80) {
    ++at_;
    return true;
  }
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || end_ - at_ <= more) return false;
  for (int i = 1; i <= more; ++i) {
    if (!is_continuation(at_[i])) return false;
  }
  const auto second = static_cast<unsigned char>(at_[1]);
  // Overlong forms, halves of surrogate pairs, and what is beyond Unicode.
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90)) {
    return false;
  }
  at_ += more + 1;
  return true;
}

bool JsonParser::parse_escape() {
  if (end_ - at_ < 2) return false;
  const char kind = at_[1];
  at_ += 2;
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kCharacters = "\"\\/\b\f\n\r\t";
  if (const std::size_t i = kNames.find(kind); i != std::string_view::npos) {
    written_.push_back(kCharacters[i]);
    return true;
  }
  std::uint32_t point = 0;
  if (kind != 'u' || !read_hex(point)) return false;
  if (point >= 0xD800 && point < 0xE000) {
    std::uint32_t low = 0;
    if (point >= 0xDC00 || end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') return false;
    at_ += 2;
    if (!read_hex(low) || low < 0xDC00 || low >= 0xE000) return false;
    point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(point);
  return true;
}

bool JsonParser::read_hex(std::uint32_t& unit) {
  if (end_ - at_ < 4) return false;
  const auto [stop, error] = std::from_chars(at_, at_ + 4, unit, 16);
  if (error != std::errc() || stop != at_ + 4) return false;
  at_ += 4;
  return true;
}

void JsonParser::append_utf8(std::uint32_t point) {
  const auto put = [this](std::uint32_t byte) { written_.push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | (point >> 6));
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | (point >> 12));
    put(0x80 | ((point >> 6) & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | (point >> 18));
    put(0x80 | ((point >> 12) & 0x3F));
    put(0x80 | ((point >> 6) & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

bool JsonParser::parse_number() {
  const char* begin = at_;
  const bool is_negative = *at_ == '-';
  if (is_negative) ++at_;
  const char* digits = at_;
  while (at_ != end_ && is_digit(*at_)) ++at_;
  if (at_ == digits || (*digits == '0' && at_ - digits > 1)) return false;
  bool is_whole = true;
  if (at_ != end_ && *at_ == '.') {
    is_whole = false;
    const char* fraction = ++at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    if (at_ == fraction) return false;
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    is_whole = false;
    if (++at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    const char* exponent = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    if (at_ == exponent) return false;
  }
  if (!is_whole) {
    double real = 0;
    if (!to_real(begin, at_, real)) return false;
    push(JsonValue::Kind::kReal).data_.real = real;
    return true;
  }
  std::int64_t integer = 0;
  if (std::from_chars(begin, at_, integer).ec != std::errc()) return false;
  if (integer == 0 && is_negative) return false;
  push(JsonValue::Kind::kInteger).data_.integer = integer;
  return true;
}

}  // namespace w2stree
