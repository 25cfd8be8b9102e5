#include "w2stree/pairs/pair_stream.hpp"

#include <atomic>
#include <mutex>

#include "base/parallel.hpp"
#include "pairs/divergence_sweep.hpp"
#include "pairs/pair_table.hpp"

namespace w2stree {

struct PairStream::State {
  State(const Forest& forest, const PairRule& rule)
      : forest(forest), order(forest, rule), sweep(this->forest, order) {}

  // To the next divergence; false at the end of the forest.
  bool next_divergence(Watch& watch) {
    while (!sweep.next()) {
      watch.check();
      if (next_tree == num_trees(forest)) return false;
      sweep.enter(next_tree++);
    }
    table.load(forest, sweep);
    return true;
  }

  std::mutex mutex;  // of one next() at a time
  Forest forest;
  ReturnOrder order;
  DivergenceSweep sweep;
  PairTable table;
  std::int32_t next_tree = 0;
  bool is_finished = false;
};

PairStream::PairStream(const Forest& forest, const PairRule& rule)
    : state_((check(rule), std::make_unique<State>(forest, rule))) {}
PairStream::~PairStream() = default;
PairStream::PairStream(PairStream&&) noexcept = default;
PairStream& PairStream::operator=(PairStream&&) noexcept = default;

std::size_t PairStream::next(const PairColumns& out, const Execution& execution) {
  const std::scoped_lock lock(state_->mutex);
  const std::atomic<bool> never = false;
  Watch watch(never, execution.poll ? &execution.poll : nullptr);
  const std::size_t size = out.chosen.size();
  std::size_t written = state_->table.write(out);
  while (written < size && !state_->is_finished) {
    watch.check();
    state_->is_finished = !state_->next_divergence(watch);
    if (state_->is_finished) break;
    written += state_->table.write({out.divergence.subspan(written), out.chosen.subspan(written),
                                    out.rejected.subspan(written)});
  }
  return written;
}

}  // namespace w2stree
