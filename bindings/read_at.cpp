#include "read_at.hpp"

#include <cerrno>
#include <system_error>

#ifdef _WIN32
#define NOMINMAX
#include <io.h>
#include <windows.h>
#else
#include <unistd.h>
#endif

namespace {

// One call to the system: how many bytes it gave, 0 at the end of the file, -1 with errno set.
std::ptrdiff_t read_some_at(int file, std::size_t begin, std::span<std::byte> to) {
#ifdef _WIN32
  OVERLAPPED place = {};
  place.Offset = static_cast<DWORD>(begin);
  place.OffsetHigh = static_cast<DWORD>(static_cast<unsigned long long>(begin) >> 32);
  DWORD count = 0;
  const auto handle = reinterpret_cast<HANDLE>(_get_osfhandle(file));
  if (ReadFile(handle, to.data(), static_cast<DWORD>(to.size()), &count, &place)) return count;
  if (GetLastError() == ERROR_HANDLE_EOF) return 0;
  errno = EIO;
  return -1;
#else
  return pread(file, to.data(), to.size(), static_cast<off_t>(begin));
#endif
}

}  // namespace

std::size_t read_at(int file, std::size_t begin, std::span<std::byte> to) {
  std::size_t size = 0;
  while (size < to.size()) {
    const std::ptrdiff_t count = read_some_at(file, begin + size, to.subspan(size));
    if (count == 0) break;
    if (count > 0) {
      size += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      throw std::system_error(errno, std::generic_category());
    }
  }
  return size;
}
