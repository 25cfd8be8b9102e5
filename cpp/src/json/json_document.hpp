// One JSON text (RFC 8259), read to the letter, as values that lie one after the other.
//
//   {"steps": [{"action": "go"}], "n": 1}
//
//   object 2 ─ "steps" ─ array 1 ─ object 1 ─ "action" ─ "go" ─ "n" ─ 1
//   └─ span 8            └─ span 4 ┘ each value says how many it takes up, itself included
//
// Texts without an escape are where they were; the others are written out beside the values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace w2stree {

/// A value, with what is in it behind it.
class JsonValue {
 public:
  enum class Kind : std::uint8_t { kNull, kBool, kInteger, kReal, kText, kArray, kObject };

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_bool() const { return kind_ == Kind::kBool; }
  bool is_integer() const { return kind_ == Kind::kInteger; }
  bool is_real() const { return kind_ == Kind::kReal; }
  bool is_text() const { return kind_ == Kind::kText; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_object() const { return kind_ == Kind::kObject; }

  std::string_view text() const { return {data_.text, size_}; }
  std::int64_t integer() const { return data_.integer; }
  /// Of an integer too.
  double number() const { return is_real() ? data_.real : static_cast<double>(data_.integer); }
  bool truth() const { return data_.integer != 0; }
  /// Items of an array, fields of an object.
  std::size_t size() const { return size_; }

  /// The first item, or the first key, whose value follows it; then `next`, `size` times.
  const JsonValue* first() const { return this + 1; }
  const JsonValue* next() const { return this + span_; }

 private:
  friend class JsonParser;

  std::size_t size_ = 0;
  std::uint32_t span_ = 1;
  Kind kind_ = Kind::kNull;
  union {
    const char* text;
    std::int64_t integer;
    double real;
  } data_ = {};
};

/// Calls use(item) for each item of an array while it says true; returns whether all did.
template <class Use>
bool for_each_item(const JsonValue& array, const Use& use) {
  const JsonValue* item = array.first();
  for (std::size_t i = 0; i < array.size(); ++i, item = item->next()) {
    if (!use(*item)) return false;
  }
  return true;
}

/// Calls use(key, value) for each field of an object while it says true, likewise.
template <class Use>
bool for_each_field(const JsonValue& object, const Use& use) {
  const JsonValue* key = object.first();
  for (std::size_t i = 0; i < object.size(); ++i) {
    const JsonValue* value = key->next();
    if (!use(key->text(), *value)) return false;
    key = value->next();
  }
  return true;
}

class JsonParser {
 public:
  /// The value that a text is; nullptr for what is no JSON or no UTF-8, and for what is left to
  /// others: halves of surrogate pairs, whole numbers beyond 64 bits or written -0, others beyond
  /// what a double holds, more than 200 levels of arrays and objects, 4 GiB. It lives until the
  /// next text is parsed, and as long as the text does. O(bytes).
  const JsonValue* parse(std::string_view text);

 private:
  bool parse_value();
  bool parse_container(JsonValue::Kind kind, char close);
  bool parse_text();
  bool parse_escape();
  bool parse_number();
  bool parse_word(std::string_view word, JsonValue::Kind kind, std::int64_t value);
  bool skip_plain();
  bool skip_utf8();
  void push_text(std::string_view text);
  bool read_hex(std::uint32_t& unit);
  void append_utf8(std::uint32_t point);
  void skip_blanks();
  JsonValue& push(JsonValue::Kind kind);

  const char* at_ = nullptr;
  const char* end_ = nullptr;
  int levels_ = 0;
  std::vector<JsonValue> values_;
  std::vector<char> written_;  // texts with escapes; never moved while a text is parsed
};

}  // namespace w2stree
