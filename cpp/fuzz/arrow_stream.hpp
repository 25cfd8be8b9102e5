// An Arrow stream over structs that somebody else holds.
#pragma once

#include <cstddef>
#include <vector>

#include "w2stree/arrow/arrow.hpp"

namespace w2stree {

// Gives the structs one by one and counts what is not released.
struct Stream {
  const ArrowSchema& schema;
  std::vector<const ArrowArray*> batches;
  int fails_with = 0;  // at the end
  std::size_t num_given = 0;
  int num_held = 0;

  ArrowArrayStream start() {
    ArrowArrayStream stream{};
    stream.private_data = this;
    stream.get_schema = [](ArrowArrayStream* self, ArrowSchema* out) {
      return of(self).give(of(self).schema, out);
    };
    stream.get_next = [](ArrowArrayStream* self, ArrowArray* out) {
      Stream& stream = of(self);
      if (stream.num_given == stream.batches.size()) return stream.fails_with;
      return stream.give(*stream.batches[stream.num_given++], out);
    };
    return stream;
  }

 private:
  static Stream& of(ArrowArrayStream* self) { return *static_cast<Stream*>(self->private_data); }

  template <class Struct>
  int give(const Struct& made, Struct* out) {
    *out = made;
    out->private_data = this;
    out->release = [](Struct* held) {
      --static_cast<Stream*>(held->private_data)->num_held;
      held->release = nullptr;
    };
    ++num_held;
    return 0;
  }
};

}  // namespace w2stree
