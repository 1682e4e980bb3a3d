#include "tenon/cli/signature_gradient.h"

#include "tenon/graph/builder.h"
#include "tenon/graph/gradient.h"
#include "tenon/passes/pass.h"

namespace tenon::cli {

StatusOr<SignatureGradient> signature_gradient(const SavedModel& model, const Signature& signature,
                                               std::span<const std::string> outputs,
                                               ExecutableOptions options) {
  TENON_ASSIGN_OR_RETURN(Graph graph, model.function(signature));
  PassContext context;
  context.resources = model.state().get();
  TENON_RETURN_IF_ERROR(inline_functions(graph, context));

  std::vector<Endpoint> ys, dys, xs;
  SignatureGradient gradient;
  GraphBuilder build(graph);
  for (const std::string& name : outputs) {
    const auto it =
        std::find_if(signature.outputs.begin(), signature.outputs.end(),
                     [&](const SignatureTensor& output) { return output.name == name; });
    if (it == signature.outputs.end()) {
      return invalid_argument("--grad_outputs: '", name, "' is no output of signature '",
                              signature.name, "'");
    }
    ys.push_back(graph.results[static_cast<size_t>(it - signature.outputs.begin())]);
    const ValueInfo y = graph.value(ys.back());
    dys.push_back(build.arg(cat("grad_", name), y.dtype, y.shape));
  }
  TENON_RETURN_IF_ERROR(build.status());
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    const DType dtype = signature.inputs[i].dtype;
    if (!is_floating(dtype) && !is_complex(dtype)) continue;
    xs.push_back({graph.args[i], 0});
    gradient.inputs.push_back(signature.inputs[i].name);
  }
  TENON_ASSIGN_OR_RETURN(std::vector<Endpoint> dxs, gradients(graph, ys, dys, xs));
  GraphBuilder fill(graph);
  for (size_t i = 0; i < xs.size(); ++i) {
    if (!dxs[i]) dxs[i] = fill.zeros_like(xs[i]);
  }
  TENON_RETURN_IF_ERROR(fill.status());
  graph.results = dxs;
  graph.result_names = gradient.inputs;
  TENON_ASSIGN_OR_RETURN(gradient.executable,
                         Executable::create(std::move(graph), model.state(), std::move(options)));
  return gradient;
}

}  // namespace tenon::cli
