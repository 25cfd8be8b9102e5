// The core's one exception.
#pragma once

#include <sstream>
#include <stdexcept>

namespace w2stree {

/// The caller's data or options are wrong. The message names the array and the index:
/// "total_return[3]=nan is not finite". Nothing has been changed when it is thrown.
class InvalidInput : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// Throws InvalidInput with the parts written one after another.
template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw InvalidInput(message.str());
}

}  // namespace w2stree
