#include "tenon/ops/control/branch_gradient.h"

#include "tenon/ops/control/function_gradient.h"

namespace tenon {
namespace {

// The outputs of the forward node into which gradients flow.
std::vector<ResultGradient> branch_result_gradients(Gradient& g) {
  std::vector<ResultGradient> gradients;
  for (int i = 0; i < g.num_outputs(); ++i) {
    if (!g.has_dy(i) || !carries_gradient(g.graph().value(g.output(i)).dtype)) continue;
    gradients.push_back({i, g.graph().value(g.dy(i)).dtype});
  }
  return gradients;
}

// The dtype of the gradient of argument `arg`, kInvalid when no branch has one.
DType gradient_dtype(std::span<const BackwardFunction> branches, size_t arg) {
  for (const BackwardFunction& branch : branches) {
    if (branch.dx[arg]) return branch.graph.value(branch.dx[arg]).dtype;
  }
  return DType::kInvalid;
}

}  // namespace

Status branch_gradient(
    Gradient& g, std::span<const FunctionAttr> branches, int first_arg,
    FunctionRef<BranchOp(std::span<const FunctionAttr> backward, bool pure)> make) {
  const std::shared_ptr<FunctionLibrary> library = g.graph().library();
  if (!library) return not_found("function '", branches[0].name, "' is called, there are none");
  const std::vector<ResultGradient> of = branch_result_gradients(g);
  std::vector<ValueInfo> args;
  for (int i = first_arg; i < g.num_inputs(); ++i) args.push_back(g.graph().value(g.input(i)));

  std::vector<BackwardFunction> backward;
  for (const FunctionAttr& branch : branches) {
    TENON_ASSIGN_OR_RETURN(const auto body, library->find(branch.name));
    TENON_ASSIGN_OR_RETURN(BackwardFunction one, make_backward_function(library, *body, args, of));
    backward.push_back(std::move(one));
  }
  // All branches give the gradients that any of them has, zeros where one has none.
  std::vector<int> wrt;
  std::vector<DType> dtypes;
  for (size_t arg = 0; arg < args.size(); ++arg) {
    const DType dtype = gradient_dtype(backward, arg);
    if (dtype == DType::kInvalid) continue;
    wrt.push_back(static_cast<int>(arg));
    dtypes.push_back(dtype);
  }
  if (wrt.empty()) return absl::OkStatus();

  std::vector<FunctionAttr> names;
  bool pure = true;
  for (size_t i = 0; i < backward.size(); ++i) {
    GraphBuilder b(backward[i].graph);
    for (size_t k = 0; k < wrt.size(); ++k) {
      const size_t arg = static_cast<size_t>(wrt[k]);
      const Endpoint dx = backward[i].dx[arg];
      b.graph().results.push_back(dx ? dx : zero_gradient(b, backward[i].args[arg], dtypes[k]));
      b.graph().result_names.push_back(cat("d_arg_", arg));
    }
    TENON_RETURN_IF_ERROR(b.status());
    TENON_RETURN_IF_ERROR(expect_repeatable(b.graph()));
    pure &= !reads_state(b.graph());
    names.push_back({library->unique_name(cat(branches[i].name, "_backward")), nullptr});
    library->add(names.back().name, std::move(backward[i].graph));
  }

  std::vector<Endpoint> inputs;
  for (int i = 0; i < g.num_inputs(); ++i) inputs.push_back(g.input(i));
  for (const ResultGradient& one : of) inputs.push_back(g.dy(one.result));
  BranchOp op = make(names, pure);
  op.attrs.set("Tout", dtypes);
  const std::vector<Endpoint> dx = g.build().ops(op.name, std::move(inputs), std::move(op.attrs));
  for (size_t k = 0; k < dx.size(); ++k) g.set_dx(wrt[k] + first_arg, dx[k]);
  return absl::OkStatus();
}

}  // namespace tenon
