// The arms of one tree, laid out for descents: the arms of a node side by side, nodes in the order
// descents first reach them. What no descent reaches is never laid out.
//
//   arm               0    1   2   3    4   5        0 leads to the root, whose arms are 1 2 3;
//   ───────────────────────────────────────────      arm 2 leads to a node with arms 4 5;
//   estimate          .   .4  .7  .1   .6  .9        the others end (value) or nobody has
//   inverse_sqrt      .    1  .6   1    1   1        gone there yet (kUnopened); STOP has no
//                                                    bonus: its inverse_sqrt is 0
//   value             .   .4   .   .   .6  .9
//   next              2    0   5   ?    0   0        the arm to take next time: decided when the
//   first_arm         1        4                     last descent backed up, so that a descent
//   num_arms          3        2                     follows `next` from arm 0 until it is 0
//
// Chains with one arm are passed through: the arm leads to where there is a choice, or the end.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "search/ucb.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/search/search.hpp"

namespace w2stree {

using ArmId = std::uint32_t;  // a tree may have more arms (children, and STOPs) than int32 ids

inline constexpr ArmId kEnd = 0;  // nothing leads to arm 0
inline constexpr ArmId kUnopened = std::numeric_limits<ArmId>::max();
inline constexpr ArmId kStop = kUnopened;  // in place of the arms it leads to

struct Arm {
  double value_sum;          // r
  std::int64_t visit_count;  // c
  ArmId next;                // kEnd: it leads to an ending
  ArmId first_arm;           // the node it leads to has arms [first_arm, first_arm + num_arms);
                             // kStop: of STOP, beside children
  std::uint32_t num_arms;    // 0: not opened, or an ending
  std::uint32_t num_tried;   // of them, visited: the first ones

  bool is_stop() const { return first_arm == kStop; }
};

/// Where an arm leads: to `chain`, or to its end.
struct Lead {
  std::int32_t chain;  // kNone: not an arm but the place of a block
  bool is_stop;
};

/// An inner chain with a single child has no choice but where there is STOP: chains go on to the
/// next branch or ending.
bool is_passed_through(const Forest& forest, const SearchOptions& options, std::int32_t chain);

/// Where a descent that goes to `chain` comes to a choice or to its end.
std::int32_t pass_through(const Forest& forest, const SearchOptions& options, std::int32_t chain);

/// Mean return of the trajectories that end at the last node of `chain`, summed in input order.
double mean_return_ending_at(const Forest& forest, std::int32_t chain);

/// What an earlier search found in the tree, by chain from the root's on; empty without one.
struct EarlierStatistics {
  std::vector<ArmStatistics> chain;
  std::vector<ArmStatistics> stop;
  std::vector<double> value_max;  // for backup "max"
};

class Arms {
 public:
  Arms(const Forest& forest, const SearchOptions& options) : forest_(forest), options_(options) {}

  /// Begins with arm 0 alone, which leads to `root`.
  void start(std::int32_t root, EarlierStatistics earlier);

  /// Lays out the arms of the node that an unopened arm leads to. If they are many, places follow
  /// for the blocks that they are decided by (decision.hpp), and one for all blocks together.
  void open(ArmId arm);

  static constexpr std::uint32_t kBlock = 32;
  static constexpr std::uint32_t kWidest = 64;  // without blocks
  static std::uint32_t num_blocks(std::uint32_t num_arms) {
    return num_arms > kWidest ? (num_arms + kBlock - 1) / kBlock : 0;
  }

  ArmId size() const { return size_; }
  bool is_ending(ArmId arm) const { return arms[arm].next == kEnd; }
  bool is_opened(ArmId arm) const { return arms[arm].num_arms > 0; }

  /// Chain where the descents that an ending's arm takes end.
  std::int32_t end_chain(ArmId arm) const {
    return pass_through(forest_, options_, leads[arm].chain);
  }

  // By arm; at least size() of each.
  std::vector<double> estimate;      // of its value: r * inverse(c), or the greatest value
  std::vector<double> inverse_sqrt;  // of its visits; 0 for STOP
  std::vector<double> value;         // of the ending it leads to
  std::vector<Arm> arms;
  std::vector<Lead> leads;

  Tolerance tolerance;  // of the values laid out so far

 private:
  void grow(std::size_t num_arms);
  void put(ArmId arm, Lead lead);
  void restore(ArmId arm);

  const Forest& forest_;
  const SearchOptions& options_;
  EarlierStatistics earlier_;
  std::int32_t root_ = 0;
  ArmId size_ = 0;
};

}  // namespace w2stree
