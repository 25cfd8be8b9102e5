#include "search/decision.hpp"

#include "base/exact_log.hpp"
#include "search/scan.hpp"

namespace w2stree {
namespace {

// What is kept of a block of arms in the place of an arm; estimate and inverse_sqrt there are
// those of its best arm.
struct Block {
  Arm& place;

  double& expiry() { return place.value_sum; }  // the greatest bonus for which this holds
  ArmId& best() { return place.next; }          // the first arm within kMargin * reach of the best
  std::uint32_t& is_uniform() { return place.num_tried; }  // all of those have equal (r, c)
};

// And behind the blocks, of all of them.
struct Tournament {
  Arm& place;
  double& first_expiry;

  double& reach() { return place.value_sum; }  // the least reach that a block was looked at with
};

// Arms of a block outside this many times the reach (as it was) are out of it, until the expiry;
// those within may have risen above the best by as much, if they are not uniform.
constexpr double kMargin = 4.0;

}  // namespace

double ExactLogs::operator()(std::int64_t total) {
  Entry& entry = entries_[static_cast<std::size_t>(total) % entries_.size()];
  if (entry.total != total) entry = {total, exact_log(static_cast<double>(total) + 1e-12)};
  return entry.log;
}

ArmId Decision::among_many(const Arm& lead, double bonus, double reach, ArmId changed) {
  if (lead.num_arms > Arms::kWidest) return among_blocks(lead, bonus, reach, changed);
  const Scan found = scan(arms_.estimate.data() + lead.first_arm,
                          arms_.inverse_sqrt.data() + lead.first_arm, lead.num_arms, bonus, reach);
  return found.num_near == 1 ? lead.first_arm + static_cast<ArmId>(found.near)
                             : exactly(lead, bonus, reach);
}

ArmId Decision::among_blocks(const Arm& lead, double bonus, double reach, ArmId changed) {
  if (reach == kInfinity) return exactly(lead, bonus, reach);
  const ArmId blocks = lead.first_arm + lead.num_arms;
  const std::uint32_t num_blocks = Arms::num_blocks(lead.num_arms);
  Tournament tournament{arms_.arms[blocks + num_blocks], arms_.estimate[blocks + num_blocks]};
  look_at(lead, (changed - lead.first_arm) / Arms::kBlock, bonus, reach);
  if (bonus > tournament.first_expiry || reach > kMargin / 2 * tournament.reach()) {
    look_at_expired(lead, bonus, reach);
  }
  // Blocks further off are out of it: their arms come to kMargin * reach above the best at most,
  // which leaves 2 * reach.
  const double* const estimate = arms_.estimate.data() + blocks;
  const double* const inverse_sqrt = arms_.inverse_sqrt.data() + blocks;
  const double near = (kMargin + 2) * reach;
  const Scan top = scan(estimate, inverse_sqrt, num_blocks, bonus, near);
  Contest contest(*this, lead.visit_count);
  std::size_t num_left = top.num_near;
  for (auto i = static_cast<std::uint32_t>(top.near); num_left > 0; ++i) {
    if (estimate[i] + bonus * inverse_sqrt[i] < top.best - near) continue;
    Block block{arms_.arms[blocks + i]};
    if (block.is_uniform() == 0) return exactly(lead, bonus, reach);
    contest.enter(block.best());
    --num_left;
  }
  return contest.winner();
}

// All of them the first time, and when values have made the reach outgrow the margin.
void Decision::look_at_expired(const Arm& lead, double bonus, double reach) {
  watch_->check();
  const std::uint32_t num_blocks = Arms::num_blocks(lead.num_arms);
  const ArmId blocks = lead.first_arm + lead.num_arms;
  Tournament tournament{arms_.arms[blocks + num_blocks], arms_.estimate[blocks + num_blocks]};
  const bool all = reach > kMargin / 2 * tournament.reach();
  if (all) tournament.reach() = reach;
  tournament.first_expiry = kInfinity;
  for (std::uint32_t i = 0; i < num_blocks; ++i) {
    Block block{arms_.arms[blocks + i]};
    if (all || bonus > block.expiry()) look_at(lead, i, bonus, reach);
    tournament.first_expiry = std::min(tournament.first_expiry, block.expiry());
  }
}

void Decision::look_at(const Arm& lead, std::uint32_t block, double bonus, double reach) {
  const ArmId first = lead.first_arm + block * Arms::kBlock;
  const std::uint32_t size = std::min(Arms::kBlock, lead.first_arm + lead.num_arms - first);
  const double* const estimate = arms_.estimate.data() + first;
  const double* const inverse_sqrt = arms_.inverse_sqrt.data() + first;
  const Scan found = scan(estimate, inverse_sqrt, size, bonus, kMargin * reach);
  const ArmId best = first + static_cast<ArmId>(found.near);
  bool is_uniform = true;
  for (std::uint32_t i = 0; found.num_near > 1 && i < size; ++i) {
    const double score = estimate[i] + bonus * inverse_sqrt[i];
    is_uniform = is_uniform && (score < found.best - kMargin * reach || are_equal(best, first + i));
  }
  const double expiry =
      bonus + time_to_meet(estimate, inverse_sqrt, size, bonus, kMargin * reach, found.near);

  const ArmId id = lead.first_arm + lead.num_arms + block;
  arms_.estimate[id] = arms_.estimate[best];
  arms_.inverse_sqrt[id] = arms_.inverse_sqrt[best];
  Block kept{arms_.arms[id]};
  kept.best() = best;
  kept.is_uniform() = is_uniform ? 1 : 0;
  kept.expiry() = expiry;
  double& first_expiry =
      arms_.estimate[lead.first_arm + lead.num_arms + Arms::num_blocks(lead.num_arms)];
  first_expiry = std::min(first_expiry, expiry);
}

ArmId Decision::exactly(const Arm& lead, double bonus, double reach) {
  if (lead.num_arms > 1024) watch_->check();
  const double* const estimate = arms_.estimate.data() + lead.first_arm;
  const double* const inverse_sqrt = arms_.inverse_sqrt.data() + lead.first_arm;
  const Scan found = scan(estimate, inverse_sqrt, lead.num_arms, bonus, reach);
  Contest contest(*this, lead.visit_count);
  for (std::uint32_t i = 0; i < lead.num_arms; ++i) {
    if (estimate[i] + bonus * inverse_sqrt[i] < found.best - reach) continue;
    contest.enter(lead.first_arm + i);
  }
  return contest.winner();
}

void Decision::Contest::enter(ArmId arm) {
  if (winner_ == kUnopened) {
    winner_ = arm;
    return;
  }
  if (decision_.are_equal(winner_, arm)) return;
  if (!is_scored_) {
    score_ = decision_.exact_score(winner_, total_);
    is_scored_ = true;
    ++decision_.num_exact_checks_;
  }
  const double score = decision_.exact_score(arm, total_);
  if (!(score > score_)) return;
  winner_ = arm;
  score_ = score;
}

double Decision::exact_score(ArmId arm, std::int64_t total) {
  const double r = arms_.arms[arm].value_sum;
  const auto c = static_cast<double>(arms_.arms[arm].visit_count);
  const double worth = options_.backup == Backup::kMean ? r / c : arms_.estimate[arm];
  const double exploration = options_.exploration_of_returns();
  if (exploration == 0) return worth;           // worth + 0 * sqrt(…), which is a number
  if (arms_.arms[arm].is_stop()) return worth;  // known: no bonus
  return worth + exploration * std::sqrt(exact_logs_(total) / c);  // Eq. 7
}

// Equal in what the score is made of, so in the score.
bool Decision::are_equal(ArmId left, ArmId right) const {
  const Arm& a = arms_.arms[left];
  const Arm& b = arms_.arms[right];
  if (a.visit_count != b.visit_count || a.is_stop() != b.is_stop()) return false;
  return options_.backup == Backup::kMean ? a.value_sum == b.value_sum
                                          : arms_.estimate[left] == arms_.estimate[right];
}

}  // namespace w2stree
