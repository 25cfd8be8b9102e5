// Arrow's number formats.
#pragma once

#include <cstdint>
#include <string_view>

namespace w2stree {

/// Calls visit(T{}) with the C++ type of an integer format; false for any other format.
template <class Visit>
bool visit_integer(std::string_view format, const Visit& visit) {
  if (format.size() != 1) return false;
  switch (format[0]) {
    case 'c':
      visit(std::int8_t{});
      return true;
    case 'C':
      visit(std::uint8_t{});
      return true;
    case 's':
      visit(std::int16_t{});
      return true;
    case 'S':
      visit(std::uint16_t{});
      return true;
    case 'i':
      visit(std::int32_t{});
      return true;
    case 'I':
      visit(std::uint32_t{});
      return true;
    case 'l':
      visit(std::int64_t{});
      return true;
    case 'L':
      visit(std::uint64_t{});
      return true;
    default:
      return false;
  }
}

/// Likewise for integers and floats.
template <class Visit>
bool visit_number(std::string_view format, const Visit& visit) {
  if (format == "g") {
    visit(double{});
    return true;
  }
  if (format == "f") {
    visit(float{});
    return true;
  }
  return visit_integer(format, visit);
}

inline bool is_integer(std::string_view format) {
  return visit_integer(format, [](auto) {});
}

inline bool is_number(std::string_view format) {
  return visit_number(format, [](auto) {});
}

}  // namespace w2stree
