// Any bytes as a saved_model.pb: refused, or loaded, and each signature imported, planned, bound
// and run with made-up inputs. What it does with them is its own affair, as long as it ends: with
// values, or with an error.

#include <sys/stat.h>
#include <unistd.h>

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/core/host_memory.h"
#include "tenon/graph/function_library.h"
#include "tenon/ops/register_all.h"
#include "tenon/saved_model/saved_model.h"
#include "tests/fuzz/made_up_inputs.h"

namespace {

// A made-up loop may well never end, as its model says: such graphs are bound, not run.
bool may_loop(const tenon::Graph& graph, int depth = 0) {
  if (depth > 3) return true;
  for (tenon::NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    const tenon::Node& node = graph.node(id);
    if (node.is("While") || node.is("StatelessWhile")) return true;
    for (const std::string& name : tenon::functions_of(node)) {
      const auto function = tenon::find_function(graph, name);
      if (!function.ok() || may_loop(**function, depth + 1)) return true;
    }
  }
  return false;
}

void run(const tenon::SavedModel& model, const tenon::Signature& signature, uint64_t seed) {
  const auto executable = model.executable(signature);
  if (!executable.ok()) return;
  for (uint64_t round = 0; round < 2; ++round) {
    tenon::MadeUpInputs inputs(seed + round);
    std::vector<tenon::Tensor> args, results;
    std::vector<tenon::Shape> shapes;
    for (const tenon::SignatureTensor& input : signature.inputs) {
      // A signature may lie about its tensors, a caller who goes by it may not know.
      const auto value = inputs.tensor(input.dtype, input.shape);
      if (!value) return;
      args.push_back(*value);
      shapes.push_back(value->shape());
    }
    if (args.size() != static_cast<size_t>((*executable)->num_args())) return;
    if (may_loop((*executable)->graph())) {
      (void)(*executable)->prepare(shapes).ok();
    } else {
      (void)(*executable)->run(args, results).ok();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string folder = [] {
    tenon::set_host_memory_limit(size_t{1} << 30);  // half of what libFuzzer lets the process have
    const bool registered = tenon::register_all_ops(tenon::OpRegistry::global()).ok();
    const std::string path = tenon::cat("/dev/shm/tenon-fuzz-model-", getpid());
    return registered && tenon::create_directories(path).ok() ? path : std::string();
  }();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!tenon::write_file(tenon::join_path(folder, "saved_model.pb"), bytes).ok()) return 0;
  const auto tags = tenon::SavedModel::tag_sets(folder);
  if (!tags.ok()) return 0;
  for (const auto& set : *tags) {
    const auto model = tenon::SavedModel::load(folder, {.tags = set, .executable = {}});
    if (!model.ok()) continue;
    for (const auto& signature : (*model)->signatures()) {
      run(**model, signature, tenon::seed_of(data, size));
    }
  }
  return 0;
}
