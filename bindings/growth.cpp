#include "w2stree/forest/growth.hpp"

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
  const py::gil_scoped_release release;
  return w2stree::extend_forest(forest, more, execution(num_threads));
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
    const py::gil_scoped_release release;
    const w2stree::SimilarityTest test(similarity, static_cast<std::int32_t>(num_observations));
    grown = w2stree::extend_similar_forest(forest, more, test, execution(num_threads));
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

// shards: (forest, action names, observation names); an empty array of names keeps the ids.
Forest merge_forests(const py::sequence& shards, std::int32_t num_threads) {
  std::vector<w2stree::Shard> merged;
  std::vector<Array<std::int32_t>> names;  // the spans' owners
  for (const py::handle shard : shards) {
    const auto [forest, actions, observations] =
        shard.cast<std::tuple<const Forest*, Array<std::int32_t>, Array<std::int32_t>>>();
    names.push_back(actions);
    names.push_back(observations);
    merged.push_back(
        {forest, span(actions, "action names"), span(observations, "observation names")});
  }
  const py::gil_scoped_release release;
  return w2stree::merge_forests(merged, execution(num_threads));
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
