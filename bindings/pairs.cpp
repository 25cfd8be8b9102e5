#include "w2stree/pairs/pairs.hpp"

#include <pybind11/stl.h>  // optional only; lists never pass here

#include <algorithm>

#include "bind.hpp"
#include "w2stree/forest/node_columns.hpp"
#include "w2stree/pairs/pair_stream.hpp"

namespace {

using w2stree::Forest;
using w2stree::PairRule;
using w2stree::Pairs;
using w2stree::PairSelection;
using w2stree::PairStream;

using Limit = std::optional<std::int64_t>;

auto column(w2stree::Column<std::int32_t> Pairs::* field) {
  return [field](const Pairs& pairs) { return wrap(pairs.*field); };
}

py::array_t<std::int64_t> count_pairs(const Forest& forest, const PairRule& rule,
                                      std::int32_t num_threads) {
  w2stree::Column<std::int64_t> by_node;
  {
    const WithoutGil no_gil;
    const w2stree::Execution on_threads = execution(no_gil, num_threads);
    const std::vector<std::int64_t> by_chain = w2stree::count_pairs(forest, rule, on_threads);
    by_node = w2stree::at_last_nodes<std::int64_t>(forest, by_chain, 0, on_threads);
  }
  return wrap(std::move(by_node));
}

Pairs select_pairs(const Forest& forest, const PairRule& rule, bool best_worst,
                   Limit per_divergence, Limit max_per_task, std::uint64_t seed,
                   const Array<std::uint64_t>& tree_key, std::int32_t num_threads) {
  using Strategy = PairSelection::Strategy;
  const PairSelection selection{best_worst ? Strategy::best_worst : Strategy::all, per_divergence,
                                max_per_task};
  const std::span<const std::uint64_t> keys = span(tree_key, "tree_key");
  const WithoutGil no_gil;
  return w2stree::select_pairs(forest, rule, selection, {seed, keys},
                               execution(no_gil, num_threads));
}

Pairs sample_pairs(const Forest& forest, const PairRule& rule, std::int64_t num_pairs,
                   std::uint64_t seed, std::int32_t num_threads) {
  const WithoutGil no_gil;
  return w2stree::sample_pairs(forest, rule, num_pairs, seed, execution(no_gil, num_threads));
}

// None at the end.
std::optional<Pairs> next_chunk(PairStream& stream, std::int64_t chunk_size) {
  if (chunk_size < 1) w2stree::refuse("chunk_size=", chunk_size, "; expected at least 1");
  const WithoutGil no_gil;
  const auto make = [&] {
    return w2stree::Buffer<std::int32_t>(static_cast<std::size_t>(chunk_size));
  };
  w2stree::Buffer<std::int32_t> divergence = make();
  w2stree::Buffer<std::int32_t> chosen = make();
  w2stree::Buffer<std::int32_t> rejected = make();
  const std::size_t size = stream.next({divergence, chosen, rejected}, execution(no_gil, 1));
  if (size == 0) return std::nullopt;
  const auto filled = [size](w2stree::Buffer<std::int32_t>& buffer) {
    if (size == buffer.size()) return w2stree::Column<std::int32_t>(std::move(buffer));
    return w2stree::Column<std::int32_t>(
        std::vector<std::int32_t>(buffer.data(), buffer.data() + size));
  };
  return Pairs{filled(divergence), filled(chosen), filled(rejected)};
}

}  // namespace

void bind_pairs(py::module_& module) {
  py::class_<PairRule>(module, "PairRule")
      .def(py::init<double, std::optional<double>>(), py::arg("min_gap") = 0.0,
           py::arg("success_threshold") = py::none());

  py::class_<Pairs>(module, "Pairs")
      .def_property_readonly("divergence", column(&Pairs::divergence))
      .def_property_readonly("chosen", column(&Pairs::chosen))
      .def_property_readonly("rejected", column(&Pairs::rejected));

  py::class_<PairStream>(module, "PairStream")
      .def(py::init<const Forest&, const PairRule&>(), py::arg("forest"), py::arg("rule"))
      .def("next", &next_chunk, py::arg("chunk_size"));

  module.def(
      "pair_gaps",
      [](const w2stree::Forest& forest, const Array<std::int32_t>& chosen,
         const Array<std::int32_t>& rejected) {
        return wrap(w2stree::pair_gaps(forest, span(chosen, "chosen"), span(rejected, "rejected")));
      },
      py::arg("forest"), py::arg("chosen"), py::arg("rejected"));
  module.def("count_pairs", &count_pairs, py::arg("forest"), py::arg("rule"),
             py::arg("num_threads") = 1);
  module.def("select_pairs", &select_pairs, py::arg("forest"), py::arg("rule"),
             py::arg("best_worst"), py::arg("per_divergence"), py::arg("max_per_task"),
             py::arg("seed"), py::arg("tree_key"), py::arg("num_threads") = 1);
  module.def("sample_pairs", &sample_pairs, py::arg("forest"), py::arg("rule"),
             py::arg("num_pairs"), py::arg("seed"), py::arg("num_threads") = 1);
}
