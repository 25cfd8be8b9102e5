// Checks for the C++ tests. No package index ships a C++ test framework, and the build must work
// without a network beyond one: thirty lines do.
#pragma once

#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <string>
#include <string_view>

#include "w2stree/base/errors.hpp"

namespace w2stree::test {

inline int failures = 0;

inline void check(bool holds, std::string_view expression, std::string_view file, int line) {
  if (holds) return;
  ++failures;
  std::cerr << file << ":" << line << ": " << expression << "\n";
}

/// Runs `act` and checks that it throws InvalidInput with exactly this message.
template <class Act>
void check_refused(Act act, const std::string& message, std::string_view file, int line) {
  try {
    act();
  } catch (const InvalidInput& error) {
    return check(error.what() == message, "refused with: " + std::string(error.what()), file, line);
  }
  check(false, "not refused; expected: " + message, file, line);
}

inline int run(std::initializer_list<void (*)()> tests) {
  for (const auto test : tests) test();
  if (failures == 0) std::cout << tests.size() << " tests passed\n";
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace w2stree::test

#define CHECK(...) \
  ::w2stree::test::check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
#define CHECK_REFUSED(act, message) \
  ::w2stree::test::check_refused([&] { (void)(act); }, message, __FILE__, __LINE__)
