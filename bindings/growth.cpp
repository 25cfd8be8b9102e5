#include "w2stree/forest/growth.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

#include "bind.hpp"

namespace {

using w2stree::Forest;

Forest extend_forest(const Forest& forest, const Array<std::int32_t>& action_id,
                     const Array<std::int32_t>& observation_id,
                     const Array<std::int64_t>& step_offset, const Array<std::int32_t>& tree_id,
                     const Array<double>& total_return, std::int32_t num_trees,
                     std::int32_t num_threads) {
  const auto more =
      columns(action_id, observation_id, step_offset, tree_id, total_return, num_trees);
  const WithoutGil no_gil;
  return w2stree::extend_forest(forest, more, execution(no_gil, num_threads));
}

py::tuple extend_similar_forest(const Forest& forest, const Array<std::int32_t>& action_id,
                                const Array<std::int32_t>& observation_id,
                                const Array<std::int64_t>& step_offset,
                                const Array<std::int32_t>& tree_id,
                                const Array<double>& total_return, std::int32_t num_trees,
                                const Array<float>& embedding, double min_similarity,
                                const Array<std::int32_t>& guard, std::int32_t num_threads) {
  const auto more =
      columns(action_id, observation_id, step_offset, tree_id, total_return, num_trees);
  if (embedding.ndim() != 2) {
    w2stree::refuse("embedding has ", embedding.ndim(), " dimensions; expected 2");
  }
  const auto num_observations = embedding.shape(0);
  const auto dimension = embedding.shape(1);
  const w2stree::Similarity similarity{
      {embedding.data(), static_cast<std::size_t>(embedding.size())},
      static_cast<std::int32_t>(dimension),
      min_similarity,
      span(guard, "guard")};
  w2stree::SimilarForest grown;
  {
    const WithoutGil no_gil;
    const w2stree::SimilarityTest test(similarity, static_cast<std::int32_t>(num_observations));
    grown = w2stree::extend_similar_forest(forest, more, test, execution(no_gil, num_threads));
  }
  std::vector<std::int32_t> made;
  std::vector<std::int32_t> seen;
  std::vector<std::int64_t> count;
  for (const w2stree::ObservationMerge& merge : grown.merges) {
    made.push_back(merge.made);
    seen.push_back(merge.seen);
    count.push_back(merge.count);
  }
  return py::make_tuple(std::move(grown.forest), wrap<std::int32_t>(std::move(made)),
                        wrap<std::int32_t>(std::move(seen)), wrap<std::int64_t>(std::move(count)));
}

// The new ids of old ones.
std::span<const std::int32_t> names(const Array<std::int32_t>& array, const char* name) {
  const std::span<const std::int32_t> ids = span(array, name);
  const auto bad = std::ranges::find_if(ids, [](std::int32_t id) { return id < 0; });
  if (bad != ids.end()) w2stree::refuse(name, "[", bad - ids.begin(), "]=", *bad, " is negative");
  return ids;
}

// shards: (forest, action names, observation names); an empty array of names keeps the ids.
Forest merge_forests(const py::sequence& shards, std::int32_t num_threads) {
  using Parts = std::tuple<const Forest*, Array<std::int32_t>, Array<std::int32_t>>;
  std::vector<py::object> owners;  // of what is borrowed
  std::vector<w2stree::Shard> merged;
  for (const py::handle shard : shards) {
    owners.push_back(py::reinterpret_borrow<py::object>(shard));
    const auto [forest, actions, observations] = shard.cast<Parts>();
    if (forest == nullptr) throw py::type_error("shard without a forest");
    owners.insert(owners.end(), {actions, observations});
    merged.push_back(
        {forest, names(actions, "action names"), names(observations, "observation names")});
  }
  const WithoutGil no_gil;
  return w2stree::merge_forests(merged, execution(no_gil, num_threads));
}

}  // namespace

void bind_growth(py::module_& module) {
  module.def("extend_forest", &extend_forest, py::arg("forest"), py::arg("action_id"),
             py::arg("observation_id"), py::arg("step_offset"), py::arg("tree_id"),
             py::arg("total_return"), py::arg("num_trees"), py::arg("num_threads") = 1);
  module.def("extend_similar_forest", &extend_similar_forest, py::arg("forest"),
             py::arg("action_id"), py::arg("observation_id"), py::arg("step_offset"),
             py::arg("tree_id"), py::arg("total_return"), py::arg("num_trees"),
             py::arg("embedding"), py::arg("min_similarity"), py::arg("guard"),
             py::arg("num_threads") = 1);
  module.def("merge_forests", &merge_forests, py::arg("shards"), py::arg("num_threads") = 1);
}
