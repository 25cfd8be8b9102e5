// Bytes of an open file from any place, on any thread: the one thing asked of the system here.
#pragma once

#include <cstddef>
#include <span>

/// Fills `to` from byte `begin` of the file on, or as much of it as there is before its end;
/// returns how much that is. Throws std::system_error.
std::size_t read_at(int file, std::size_t begin, std::span<std::byte> to);
