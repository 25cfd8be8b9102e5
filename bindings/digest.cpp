#include "w2stree/file/digest.hpp"

#include "bind.hpp"
#include "text_table.hpp"
#include "w2stree/base/xxhash.hpp"

namespace {

py::tuple digest(const w2stree::Forest& forest, const py::object& task_ids,
                 const py::object& actions, const py::object& observations,
                 std::int32_t num_threads) {
  const w2stree::TextTable tables[] = {text_table(task_ids, "task_ids"),
                                       text_table(actions, "actions"),
                                       text_table(observations, "observations")};
  w2stree::Digest digest;
  {
    const WithoutGil no_gil;
    const w2stree::Execution how = execution(no_gil, num_threads);
    digest = w2stree::digest(forest, w2stree::hash_texts(tables[0], how),
                             w2stree::hash_texts(tables[1], how),
                             w2stree::hash_texts(tables[2], how), how);
  }
  return py::make_tuple(digest[0], digest[1]);
}

std::uint64_t xxh64(const py::buffer& data, std::uint64_t seed) {
  const py::buffer_info info = data.request();
  return w2stree::xxh64(bytes_of(info), seed);
}

}  // namespace

void bind_digest(py::module_& module) {
  module.def("digest", &digest, py::arg("forest"), py::arg("task_ids"), py::arg("actions"),
             py::arg("observations"), py::arg("num_threads") = 1);
  module.def("xxh64", &xxh64, py::arg("data"), py::arg("seed") = 0);
}
