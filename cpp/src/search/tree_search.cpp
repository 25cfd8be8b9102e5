#include "search/tree_search.hpp"

#include <algorithm>

#include "search/visits.hpp"

namespace w2stree {
namespace {

constexpr double kDemoUnvisited = -999999.0;  // the authors' score of an unvisited child
constexpr std::int64_t kSimulationsPerCheck = 32;

constexpr auto any = [](ArmId) { return true; };

// One visit tells all of STOP.
bool is_visited_enough(const Arm& arm, std::int64_t min_visits) {
  return arm.visit_count >= min_visits || (arm.is_stop() && arm.visit_count > 0);
}

}  // namespace

TreeResult TreeSearch::run(std::int32_t tree, const SearchResult* earlier, Watch& watch) {
  const std::int32_t root = forest_.root_chain[at(tree)];
  TreeResult result;
  if (earlier == nullptr) {
    arms_.start(root, {});
  } else {
    arms_.start(root, by_chain(forest_, options_, root, earlier->statistics[at(tree)]));
    result.num_simulations = earlier->num_simulations[at(tree)];
    if (earlier->options.patience == options_.patience) {
      result.last_look = earlier->last_look[at(tree)];
      result.has_converged = earlier->has_converged[at(tree)] != 0;
    }
  }
  decision_.watch(watch);
  for (std::int64_t left = options_.num_simulations; left > 0 && !result.has_converged;) {
    const std::int64_t until_look =
        options_.patience ? *options_.patience - result.num_simulations % *options_.patience : left;
    const std::int64_t batch = std::min(left, until_look);
    simulate(batch, watch);
    left -= batch;
    result.num_simulations += batch;
    if (options_.patience && batch == until_look) look(result);
  }
  if (earlier != nullptr) open_visited();
  result.paths = best_paths();
  result.statistics = statistics();
  return result;
}

void TreeSearch::simulate(std::int64_t num_simulations, Watch& watch) {
  while (num_simulations > 0) {
    const std::int64_t batch = std::min(num_simulations, kSimulationsPerCheck);
    if (arms_.arms[0].visit_count + batch < counts_.size()) {
      simulate_with(batch, counts_.tabulated());
    } else {
      simulate_with(batch, counts_.computed());
    }
    num_simulations -= batch;
    watch.check();
  }
}

template <class Counts>
void TreeSearch::simulate_with(std::int64_t num_simulations, Counts counts) {
  for (std::int64_t i = 0; i < num_simulations; ++i) {
    const double value = arms_.value[descend()];
    if (options_.backup == Backup::kMean) {
      back_up<Backup::kMean>(value, counts);
    } else {
      back_up<Backup::kMax>(value, counts);
    }
  }
}

// Every decision was made when the descent before backed up.
ArmId TreeSearch::descend() {
  ArmId arm = 0;
  for (;;) {
    const ArmId next = arms_.arms[arm].next;
    if (next == kEnd) return arm;
    if (next == kUnopened) {
      open(arm);
    } else {
      arm = next;
    }
  }
}

// Follows the same arms again; statistics first, then the decision above them, while it is all
// at hand and the decisions along the path do not wait for one another.
template <Backup backup, class Counts>
void TreeSearch::back_up(double value, Counts counts) {
  const Tolerance tolerance = arms_.tolerance;
  Arm* const arms = arms_.arms.data();
  double* const estimate = arms_.estimate.data();
  double* const inverse_sqrt = arms_.inverse_sqrt.data();
  Arm* lead = &arms[0];
  lead->value_sum += value;
  lead->visit_count += 1;
  for (ArmId arm = lead->next; arm != kEnd;) {
    Arm& taken = arms[arm];
    const ArmId after = taken.next;
    const double r = taken.value_sum + value;
    const std::int64_t c = taken.visit_count + 1;
    taken.value_sum = r;
    taken.visit_count = c;
    inverse_sqrt[arm] = taken.is_stop() ? 0.0 : counts.inverse_sqrt(c);
    if constexpr (backup == Backup::kMean) {
      estimate[arm] = r * counts.inverse(c);
    } else {
      estimate[arm] = std::max(estimate[arm], value);
    }
    if (lead->num_tried < lead->num_arms && ++lead->num_tried < lead->num_arms) {
      lead->next = lead->first_arm + lead->num_tried;  // +infinity, the first of them
    } else {
      const double bonus = counts.bonus(lead->visit_count);
      lead->next = decision_.among(*lead, bonus, tolerance(bonus), arm);
    }
    lead = &taken;
    arm = after;
  }
}

void TreeSearch::open(ArmId arm) {
  arms_.open(arm);
  Arm& lead = arms_.arms[arm];
  if (lead.num_tried < lead.num_arms) return;
  const double bonus = counts_.bonus(lead.visit_count);
  lead.next = decision_.among(lead, bonus, arms_.tolerance(bonus), lead.first_arm);
}

// What the earlier search reached and this one did not.
void TreeSearch::open_visited() {
  for (ArmId arm = 0; arm < arms_.size(); ++arm) {
    if (arms_.arms[arm].visit_count > 0 && arms_.arms[arm].next == kUnopened) open(arm);
  }
}

void TreeSearch::look(TreeResult& result) {
  const std::int32_t end = arms_.end_chain(greedy_path(any).back());
  result.has_converged = end == result.last_look;
  result.last_look = end;
}

std::vector<Path> TreeSearch::best_paths() {
  std::vector<ArmId> path = greedy_path(any);
  std::vector<Path> paths = {path_to(path.back())};
  if (options_.num_paths == 1) return paths;
  std::vector<std::int64_t> num_left = count_visited_endings();
  const auto take = [&] {
    for (const ArmId arm : path) --num_left[arm];
  };
  if (paths.front().visit_count > 0) take();
  while (num_left[0] > 0 && static_cast<std::int64_t>(paths.size()) < options_.num_paths) {
    path = greedy_path([&](ArmId arm) { return num_left[arm] > 0; });
    paths.push_back(path_to(path.back()));
    take();
  }
  return paths;
}

// By arm: visited endings that it leads to.
std::vector<std::int64_t> TreeSearch::count_visited_endings() {
  std::vector<std::int64_t> num_endings(arms_.size(), 0);
  for (ArmId arm = arms_.size(); arm-- > 0;) {  // what an arm leads to comes after it
    const Arm& lead = arms_.arms[arm];
    if (lead.visit_count == 0) continue;
    num_endings[arm] = arms_.is_ending(arm) ? 1 : 0;
    for (std::uint32_t i = 0; i < lead.num_arms; ++i) {
      num_endings[arm] += num_endings[lead.first_arm + i];
    }
  }
  return num_endings;
}

// The arms it takes, arm 0 included.
template <class IsEligible>
std::vector<ArmId> TreeSearch::greedy_path(IsEligible is_eligible) {
  std::vector<ArmId> path = {0};
  while (!arms_.is_ending(path.back())) {
    if (arms_.arms[path.back()].next == kUnopened) open(path.back());
    const Arm& lead = arms_.arms[path.back()];
    ArmId best = best_arm(lead, options_.min_visits, is_eligible);
    if (best == kUnopened) best = best_arm(lead, 0, is_eligible);
    path.push_back(best);
  }
  return path;
}

// The first arm of greatest worth among those eligible and visited enough; kUnopened: none is.
template <class IsEligible>
ArmId TreeSearch::best_arm(const Arm& lead, std::int64_t min_visits, IsEligible is_eligible) const {
  ArmId best = kUnopened;
  for (ArmId arm = lead.first_arm; arm < lead.first_arm + lead.num_arms; ++arm) {
    if (!is_eligible(arm) || !is_visited_enough(arms_.arms[arm], min_visits)) continue;
    if (best == kUnopened || worth(arm) > worth(best)) best = arm;
  }
  return best;
}

double TreeSearch::worth(ArmId arm) const {
  const Arm& a = arms_.arms[arm];
  if (a.visit_count == 0) return options_.stop_arm ? -kInfinity : kDemoUnvisited;
  return options_.backup == Backup::kMean ? a.value_sum / static_cast<double>(a.visit_count)
                                          : arms_.estimate[arm];
}

Path TreeSearch::path_to(ArmId end) const {
  const std::int32_t chain = arms_.end_chain(end);
  const auto ending = trajectories_ending_at(forest_, chain);
  const auto best = std::ranges::max_element(
      ending, {}, [&](std::int32_t trajectory) { return forest_.total_return[at(trajectory)]; });
  return {chain, *best, arms_.value[end], arms_.arms[end].visit_count};
}

std::vector<ArmStatistics> TreeSearch::statistics() const {
  std::vector<ArmStatistics> statistics;
  const auto is_visited = [&](ArmId arm) {
    return arms_.leads[arm].chain != kNone && arms_.arms[arm].visit_count > 0;
  };
  std::size_t num_visited = 0;
  for (ArmId arm = 0; arm < arms_.size(); ++arm) num_visited += is_visited(arm) ? 1 : 0;
  statistics.reserve(num_visited);
  for (ArmId arm = 0; arm < arms_.size(); ++arm) {
    if (!is_visited(arm)) continue;
    statistics.push_back({arms_.arms[arm].visit_count, arms_.arms[arm].value_sum,
                          arms_.leads[arm].chain, arms_.leads[arm].is_stop});
  }
  return statistics;
}

}  // namespace w2stree
