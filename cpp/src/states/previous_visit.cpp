#include <vector>

#include "base/parallel.hpp"
#include "w2stree/states/states.hpp"

namespace w2stree {
namespace {

// Walks one tree after another in pre-order, knowing of each state where the path from the root to
// the present node saw it last.
class LastVisits {
 public:
  LastVisits(const Forest& forest, const StateGraph& graph, Buffer<std::int32_t>& previous)
      : forest_(forest), graph_(graph), previous_(previous) {}

  void walk(std::int32_t tree, Watch& watch) {
    first_state_ = graph_.first_state[at(tree)];
    last_.assign(at(graph_.first_state[at(tree) + 1] - first_state_), kNone);
    path_.clear();
    for (std::int32_t chain = forest_.root_chain[at(tree)];
         chain < forest_.root_chain[at(tree) + 1]; ++chain) {
      watch.check();
      while (!path_.empty() && path_.back() != forest_.chains.parent[at(chain)]) leave();
      enter(chain);
    }
  }

 private:
  std::int32_t& last_visit(std::int32_t node) {
    return last_[at(graph_.node_state[at(node)] - first_state_)];
  }

  void enter(std::int32_t chain) {
    path_.push_back(chain);
    for (std::int32_t node = forest_.chains.first_node[at(chain)];
         node <= last_node(forest_, chain); ++node) {
      previous_[at(node)] = last_visit(node);
      last_visit(node) = node;
    }
  }

  void leave() {
    const std::int32_t first = forest_.chains.first_node[at(path_.back())];
    for (std::int32_t node = last_node(forest_, path_.back()); node >= first; --node) {
      last_visit(node) = previous_[at(node)];
    }
    path_.pop_back();
  }

  const Forest& forest_;
  const StateGraph& graph_;
  Buffer<std::int32_t>& previous_;
  std::int32_t first_state_ = 0;
  std::vector<std::int32_t> last_;  // by state of the tree
  std::vector<std::int32_t> path_;  // chains from the root to the present one
};

}  // namespace

Column<std::int32_t> previous_visit(const Forest& forest, const StateGraph& graph,
                                    const Execution& execution) {
  check_is_of(forest, graph);
  Buffer<std::int32_t> previous(at(num_nodes(forest)));
  parallel_for_with(
      num_trees(forest), execution, [&] { return LastVisits(forest, graph, previous); },
      [](LastVisits& visits, std::int32_t tree, Watch& watch) { visits.walk(tree, watch); });
  return previous;
}

}  // namespace w2stree
