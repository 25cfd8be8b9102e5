// The decision at a node: the arm of greatest score, the first of equals.
//
//   arms        2        in a register each                                   O(arms)
//               3 … 16   one after another
//               17 … 64  several at a time (scan.hpp)
//               more     by blocks of 32 arms, of which one has changed since the decision before
//
// Blocks hold a kinetic tournament: each knows its best arm, and until which bonus that stays its
// best, because bonuses grow from decision to decision and scores are lines over the bonus:
//
//   score │        ／ the best arm's line
//         │      ／   ．another arm: steeper, since visited less
//         │    ／ ．    meets it here: look again then
//         │  ／．      │
//         └──┬─────────┴── bonus
//            looked at
//
// A decision looks at the block that changed and compares the best of the blocks, which are laid
// out after the arms as if they were arms themselves.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/parallel.hpp"
#include "search/arms.hpp"
#include "search/ucb.hpp"
#include "w2stree/search/search.hpp"

namespace w2stree {

/// log(C + 1e-12), correctly rounded, remembering the last asked for.
class ExactLogs {
 public:
  double operator()(std::int64_t total);

 private:
  struct Entry {
    std::int64_t total = 0;
    double log = 0.0;
  };
  std::vector<Entry> entries_ = std::vector<Entry>(4096);
};

/// Decides among the arms of one tree after another.
class Decision {
 public:
  Decision(const SearchOptions& options, Arms& arms) : options_(options), arms_(arms) {}

  /// The arm that the next descent takes at the node that `lead` leads to. Every arm has been
  /// tried; since the last decision there only `changed` was visited. `reach` is the tolerance.
  ArmId among(const Arm& lead, double bonus, double reach, ArmId changed) {
    const double* const estimate = arms_.estimate.data() + lead.first_arm;
    const double* const inverse_sqrt = arms_.inverse_sqrt.data() + lead.first_arm;
    const double first = estimate[0] + bonus * inverse_sqrt[0];
    const double second = estimate[1] + bonus * inverse_sqrt[1];
    if (lead.num_arms == 2) {
      if (!(std::abs(second - first) > reach)) [[unlikely]]
        return exactly(lead, bonus, reach);
      return lead.first_arm + (second > first ? 1 : 0);
    }
    if (lead.num_arms > kFew) return among_many(lead, bonus, reach, changed);

    double best = std::max(first, second);
    double runner_up = std::min(first, second);
    ArmId arm = second > first ? 1 : 0;
    for (std::uint32_t i = 2; i < lead.num_arms; ++i) {
      const double score = estimate[i] + bonus * inverse_sqrt[i];
      runner_up = std::max(runner_up, std::min(best, score));
      arm = score > best ? i : arm;
      best = std::max(best, score);
    }
    if (!(best - runner_up > reach)) [[unlikely]]
      return exactly(lead, bonus, reach);
    return lead.first_arm + arm;
  }

  /// How often exact scores decided.
  std::int64_t num_exact_checks() const { return num_exact_checks_; }

  void watch(Watch& watch) { watch_ = &watch; }

 private:
  static constexpr std::uint32_t kFew = 16;

  // Compares arms as defined, in order.
  class Contest {
   public:
    Contest(Decision& decision, std::int64_t total) : decision_(decision), total_(total) {}
    void enter(ArmId arm);
    ArmId winner() const { return winner_; }

   private:
    Decision& decision_;
    std::int64_t total_;
    ArmId winner_ = kUnopened;
    double score_ = 0.0;
    bool is_scored_ = false;
  };

  ArmId among_many(const Arm& lead, double bonus, double reach, ArmId changed);
  ArmId among_blocks(const Arm& lead, double bonus, double reach, ArmId changed);
  void look_at_expired(const Arm& lead, double bonus, double reach);
  void look_at(const Arm& lead, std::uint32_t block, double bonus, double reach);
  ArmId exactly(const Arm& lead, double bonus, double reach);
  double exact_score(ArmId arm, std::int64_t total);
  bool are_equal(ArmId left, ArmId right) const;

  const SearchOptions& options_;
  Arms& arms_;
  Watch* watch_ = nullptr;
  ExactLogs exact_logs_;
  std::int64_t num_exact_checks_ = 0;
};

}  // namespace w2stree
