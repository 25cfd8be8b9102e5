// Format strings of the Arrow C data interface: good ones by kind, and wrong ones.
#pragma once

#include <cstdint>

namespace w2stree {

inline constexpr const char* kTexts[] = {"u", "U", "vu"};
inline constexpr const char* kLists[] = {"+l", "+L", "+vl", "+vL"};
inline constexpr const char* kIntegers[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
inline constexpr const char* kWrong[] = {nullptr, "",   "+",  "+v",   "+vx", "+s", "+w:2",
                                         "z",     "vz", "uu", "v",    "n",   "b",  "tdD",
                                         "u",     "g",  "+l", "\xff", "gg",  "e",  "i"};

inline std::int64_t size_of_number(char format) {
  switch (format) {
    case 'c':
    case 'C':
      return 1;
    case 's':
    case 'S':
      return 2;
    case 'f':
    case 'i':
    case 'I':
      return 4;
    default:
      return 8;
  }
}

}  // namespace w2stree
