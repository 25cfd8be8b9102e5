// Arrays that never change once made: what a Forest is built of.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace w2stree {

/// Memory to be filled: uninitialised, because writing a fresh page twice costs more than
/// computing what goes into it.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  /// `padding` more elements may be written than there are.
  explicit Buffer(std::size_t size, std::size_t padding = 0)
      : values_(std::make_unique_for_overwrite<T[]>(size + padding)), size_(size) {}

  /// Forgets all but the first elements; the memory stays.
  Buffer first(std::size_t size) && {
    size_ = size;
    return std::move(*this);
  }

  T* data() { return values_.get(); }
  const T* data() const { return values_.get(); }
  std::size_t size() const { return size_; }
  T* begin() { return values_.get(); }
  T* end() { return values_.get() + size_; }
  T& operator[](std::size_t i) { return values_[i]; }
  const T& operator[](std::size_t i) const { return values_[i]; }

 private:
  template <class>
  friend class Column;
  std::unique_ptr<T[]> values_;
  std::size_t size_ = 0;
};

/// A read-only array that shares its memory: copies are cheap. The memory is its own (moved in)
/// or someone else's, kept alive by `owner` (a file's bytes, a NumPy array).
template <class T>
class Column {
 public:
  Column() = default;
  Column(Buffer<T> buffer)  // NOLINT: filling a column is what buffers are for
      : values_(buffer.data(), buffer.size()),
        owner_(std::shared_ptr<const T[]>(std::move(buffer.values_))) {}
  Column(std::vector<T> values) {  // NOLINT: likewise
    const auto owned = std::make_shared<const std::vector<T>>(std::move(values));
    values_ = *owned;
    owner_ = owned;
  }
  Column(std::span<const T> values, std::shared_ptr<const void> owner)
      : values_(values), owner_(std::move(owner)) {}

  const T* data() const { return values_.data(); }
  std::size_t size() const { return values_.size(); }
  std::size_t num_bytes() const { return values_.size_bytes(); }
  bool empty() const { return values_.empty(); }
  const T* begin() const { return values_.data(); }
  const T* end() const { return values_.data() + values_.size(); }
  const T& operator[](std::size_t i) const { return values_[i]; }
  const T& back() const { return values_.back(); }
  operator std::span<const T>() const { return values_; }  // NOLINT: a column is a span

  friend bool operator==(const Column& left, const Column& right) {
    return std::ranges::equal(left.values_, right.values_);
  }

 private:
  std::span<const T> values_;
  std::shared_ptr<const void> owner_;
};

}  // namespace w2stree
