// Running what a fuzzed model file declares: each signature planned, bound and run with made-up
// inputs. What it does with them is its own affair, as long as it ends: with values, or an error.
#pragma once

#include "tenon/graph/function_library.h"
#include "tenon/saved_model/saved_model.h"
#include "tests/fuzz/made_up_inputs.h"

namespace tenon {

// A made-up loop may well never end, as its model says: such graphs are bound, not run.
inline bool may_loop(const Graph& graph, int depth = 0) {
  if (depth > 3) return true;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    if (node.is("While") || node.is("StatelessWhile")) return true;
    for (const std::string& name : functions_of(node)) {
      const auto function = find_function(graph, name);
      if (!function.ok() || may_loop(**function, depth + 1)) return true;
    }
  }
  return false;
}

inline void run_signature(const SavedModel& model, const Signature& signature, uint64_t seed) {
  const auto executable = model.executable(signature);
  if (!executable.ok()) return;
  for (uint64_t round = 0; round < 2; ++round) {
    MadeUpInputs inputs(seed + round);
    std::vector<Tensor> args, results;
    std::vector<Shape> shapes;
    for (const SignatureTensor& input : signature.inputs) {
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

}  // namespace tenon
