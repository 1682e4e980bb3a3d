// export_random_graphs FOLDER FIRST_SEED COUNT: random graphs as SavedModels, FOLDER/<seed>/1, with
// what Tenon answers for two batches, FOLDER/<seed>/<batch>.npz: "in/<argument>", "out/<result>"
// and "exact/<result>", true where an answer must be the same to the bit.
// tests/differential/against_tensorflow.py asks TensorFlow the same.

#include <cstdio>
#include <cstdlib>

#include "tenon/base/files.h"
#include "tenon/io/npy.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"
#include "tenon/saved_model/writer.h"
#include "tests/differential/random_graph.h"

namespace tenon::differential {
namespace {

constexpr int64_t kBatches[] = {5, 1};

Status export_graph(const std::string& folder, uint64_t seed) {
  const Known known = static_cast<Known>(seed % 4);
  TENON_ASSIGN_OR_RETURN(const RandomGraph made, make_random_graph(seed, known, kBatches[0]));
  SavedModelSpec spec;
  spec.folder = cat(folder, "/", seed, "/1");
  spec.endpoints.push_back({.name = "serve", .function = made.graph});
  spec.state = made.state.get();
  TENON_RETURN_IF_ERROR(create_directories(cat(folder, "/", seed)));
  TENON_RETURN_IF_ERROR(write_saved_model(spec));
  TENON_ASSIGN_OR_RETURN(const auto executable, Executable::create(made.graph, made.state));
  for (int64_t batch : kBatches) {
    if (known == Known::kAll && batch != kBatches[0]) continue;
    const std::vector<Tensor> args = random_arguments(made, batch);
    std::vector<Tensor> results;
    TENON_RETURN_IF_ERROR(executable->run(args, results));
    std::vector<std::pair<std::string, Tensor>> arrays;
    for (size_t i = 0; i < args.size(); ++i) {
      arrays.emplace_back("in/" + made.arguments[i].name, args[i]);
    }
    for (size_t i = 0; i < results.size(); ++i) {
      arrays.emplace_back("out/" + made.graph.result_names[i], results[i]);
      arrays.emplace_back("exact/" + made.graph.result_names[i],
                          Tensor::scalar<bool>(made.results[i].exact));
    }
    TENON_RETURN_IF_ERROR(write_npz(cat(folder, "/", seed, "/", batch, ".npz"), arrays));
  }
  return absl::OkStatus();
}

Status export_graphs(const std::string& folder, int64_t first, int64_t count) {
  TENON_RETURN_IF_ERROR(register_all_ops(OpRegistry::global()));
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t seed = static_cast<uint64_t>(first + i);
    TENON_RETURN_IF_ERROR(with_context(export_graph(folder, seed), cat("seed ", seed)));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace tenon::differential

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: export_random_graphs FOLDER FIRST_SEED COUNT\n");
    return 2;
  }
  const tenon::Status status =
      tenon::differential::export_graphs(argv[1], std::atoll(argv[2]), std::atoll(argv[3]));
  if (status.ok()) return 0;
  std::fprintf(stderr, "error: %s\n", status.ToString().c_str());
  return 1;
}
