#include "json/json_values.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

namespace w2stree {
namespace {

constexpr int kMaxLevels = 100;  // half of what the slow road allows

void append_text(std::string_view text, std::string& written) {
  constexpr std::string_view kCharacters = "\"\\\b\f\n\r\t";
  constexpr std::string_view kNames = "\"\\bfnrt";
  constexpr std::string_view kDigits = "0123456789abcdef";
  written += '"';
  for (const char c : text) {
    if (const std::size_t i = kCharacters.find(c); i != std::string_view::npos) {
      written.append({'\\', kNames[i]});
    } else if (const auto code = static_cast<unsigned char>(c); code < 0x20) {
      written.append("\\u00").append({kDigits[code >> 4], kDigits[code & 15]});
    } else {
      written += c;
    }
  }
  written += '"';
}

// As json.dumps writes it, with sorted keys and without spaces. False where keys are not sorted
// already, which rules twins out too, for numbers that are not whole, and where it is too deep.
bool append_canonical(const JsonValue& value, int levels, std::string& written) {
  switch (value.kind()) {
    case JsonValue::Kind::kNull:
      written += "null";
      return true;
    case JsonValue::Kind::kBool:
      written += value.truth() ? "true" : "false";
      return true;
    case JsonValue::Kind::kText:
      append_text(value.text(), written);
      return true;
    case JsonValue::Kind::kInteger:
      written += std::to_string(value.integer());
      return true;
    case JsonValue::Kind::kReal:
      return false;
    case JsonValue::Kind::kArray: {
      char before = '[';
      const bool is_done = levels > 0 && for_each_item(value, [&](const JsonValue& item) {
                             written += before;
                             before = ',';
                             return append_canonical(item, levels - 1, written);
                           });
      written += value.size() == 0 ? "[]" : "]";
      return is_done;
    }
    case JsonValue::Kind::kObject: {
      char before = '{';
      std::string_view last;
      const auto append = [&](std::string_view key, const JsonValue& item) {
        if (before == ',' && key <= last) return false;
        written += before;
        before = ',';
        last = key;
        append_text(key, written);
        written += ':';
        return append_canonical(item, levels - 1, written);
      };
      const bool is_done = levels > 0 && for_each_field(value, append);
      written += value.size() == 0 ? "{}" : "}";
      return is_done;
    }
  }
  return false;
}

bool is_certain(const JsonValue& value, int levels) {
  if (value.is_real() || value.is_integer()) return is_number(&value);
  if (!value.is_array() && !value.is_object()) return true;
  if (levels == 0) return false;
  const auto is_one = [levels](const JsonValue& item) { return is_certain(item, levels - 1); };
  if (value.is_array()) return for_each_item(value, is_one);
  std::vector<std::string_view> keys;
  keys.reserve(value.size());
  const bool are_certain = for_each_field(value, [&](std::string_view key, const JsonValue& item) {
    keys.push_back(key);
    return is_one(item);
  });
  std::ranges::sort(keys);
  return are_certain && std::ranges::adjacent_find(keys) == keys.end();
}

}  // namespace

bool is_number(const JsonValue* value) {
  if (value == nullptr) return false;
  if (!value->is_real()) return value->is_integer();
  const double number = value->number();
  return std::isfinite(number) && !(number == 0 && std::signbit(number));
}

bool is_integer(const JsonValue* value) {
  return value != nullptr && value->is_integer();
}

bool is_list_of(const JsonValue* value, bool (*is_one)(const JsonValue*)) {
  return value != nullptr && value->is_array() &&
         for_each_item(*value, [is_one](const JsonValue& item) { return is_one(&item); });
}

bool has_field(const JsonValue& object, std::string_view name) {
  return !for_each_field(object,
                         [name](std::string_view key, const JsonValue&) { return key != name; });
}

bool is_plain(const JsonValue& value) {
  return is_certain(value, kMaxLevels);
}

bool CanonicalObjects::has(std::string_view text) {
  const JsonValue* value = parser_.parse(text);
  if (value == nullptr || !value->is_object()) return false;
  written_.clear();
  return append_canonical(*value, kMaxLevels, written_) && written_ == text;
}

}  // namespace w2stree
