// What fields of a JSON object may be.
//
//   object   {"action": "go", "reward": null}
//   names    action, observation, reward          ──> values  "go", absent, absent
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "json/json_document.hpp"

namespace w2stree {

/// Fields that are null are absent: tables write them so.
inline bool is_absent(const JsonValue* value) {
  return value == nullptr || value->is_null();
}

/// Whether it is there, and a text.
inline bool is_text(const JsonValue* value) {
  return value != nullptr && value->is_text();
}

inline bool is_truth(const JsonValue* value) {
  return value != nullptr && value->is_bool();
}

/// Whether it is absent or is_one() holds.
template <class IsOne>
bool may_be(const JsonValue* value, const IsOne& is_one) {
  return is_absent(value) || is_one(value);
}

/// Finite, and no -0.0, which texts with and without a point mean differently.
bool is_number(const JsonValue* value);

bool is_integer(const JsonValue* value);

bool is_list_of(const JsonValue* value, bool (*is_one)(const JsonValue*));

/// The values of an object's fields, nullptr where there is none. False for what is no object, for
/// a field that is unknown and for one that is given twice.
template <std::size_t N>
bool read_fields(const JsonValue& object, const std::array<std::string_view, N>& names,
                 std::array<const JsonValue*, N>& values) {
  values.fill(nullptr);
  if (!object.is_object()) return false;
  std::size_t next = 0;  // records of one writer have their fields in one order
  return for_each_field(object, [&](std::string_view name, const JsonValue& value) {
    std::size_t i = next;
    for (std::size_t tried = 0; names[i] != name; i = i + 1 == N ? 0 : i + 1) {
      if (++tried == N) return false;
    }
    if (values[i] != nullptr) return false;
    values[i] = &value;
    next = i + 1 == N ? 0 : i + 1;
    return true;
  });
}

/// Whether an object has a field of this name.
bool has_field(const JsonValue& object, std::string_view name);

/// Whether a value of any kind is certain: no key twice in an object, no -0.0, not too deep.
bool is_plain(const JsonValue& value);

/// Whether a text is an object in the one form in which tool calls are kept: keys sorted, no
/// spaces, no escape that is not needed. Not certain, so false, where a number has a fraction.
class CanonicalObjects {
 public:
  bool has(std::string_view text);

 private:
  JsonParser parser_;
  std::string written_;
};

}  // namespace w2stree
