// If, StatelessIf, Case, StatelessCase: one of several functions, chosen while running.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/graph/specialize.h"
#include "tenon/ops/control/branch_gradient.h"
#include "tenon/ops/control/function_call.h"

namespace tenon {
namespace {

Status if_shape(ShapeContext& c) {
  const std::vector<PartialShape> then_shapes = c.function_results("then_branch", 1);
  const std::vector<PartialShape> else_shapes = c.function_results("else_branch", 1);
  for (int i = 0; i < c.num_outputs(); ++i) {
    const size_t at = static_cast<size_t>(i);
    c.set_output(i, common_shape(then_shapes[at], else_shapes[at]));
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_if(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const FunctionCall yes, FunctionCall::make(p, "then_branch", 1));
  TENON_ASSIGN_OR_RETURN(const FunctionCall no, FunctionCall::make(p, "else_branch", 1));
  return Kernel([yes, no](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const bool truth, truth_of(r.input(0)));
    return (truth ? yes : no).run_to_outputs(r);
  });
}

Status case_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  return unknown_shape(c);
}

// An index outside chooses the last branch.
StatusOr<Kernel> make_case(Prepare& p) {
  const size_t count = p.attr<std::vector<FunctionAttr>>("branches").size();
  std::vector<FunctionCall> branches;
  for (size_t i = 0; i < count; ++i) {
    TENON_ASSIGN_OR_RETURN(FunctionCall branch,
                           FunctionCall::make(p, "branches", 1, static_cast<int>(i)));
    branches.push_back(std::move(branch));
  }
  return Kernel([branches = std::move(branches)](KernelRun& r) -> Status {
    const int32_t index = *r.in<int32_t>(0);
    const size_t last = branches.size() - 1;
    const size_t chosen = index < 0 ? last : std::min(static_cast<size_t>(index), last);
    return branches[chosen].run_to_outputs(r);
  });
}

Status if_gradient(Gradient& g) {
  const FunctionAttr branches[] = {g.attr<FunctionAttr>("then_branch"),
                                   g.attr<FunctionAttr>("else_branch")};
  return branch_gradient(g, branches, 1, [](std::span<const FunctionAttr> backward, bool pure) {
    return BranchOp{pure ? "StatelessIf" : "If",
                    {{"then_branch", backward[0]}, {"else_branch", backward[1]}}};
  });
}

Status case_gradient(Gradient& g) {
  const auto branches = g.attr<std::vector<FunctionAttr>>("branches");
  return branch_gradient(g, branches, 1, [](std::span<const FunctionAttr> backward, bool pure) {
    return BranchOp{pure ? "StatelessCase" : "Case",
                    {{"branches", std::vector<FunctionAttr>(backward.begin(), backward.end())}}};
  });
}

}  // namespace

TENON_OP(If) = {
    .inputs = "cond: Tcond, input: Tin",
    .outputs = "output: Tout",
    .attrs =
        "Tcond: type; Tin: list(type) >= 0; Tout: list(type) >= 0; then_branch: func; "
        "else_branch: func; output_shapes: list(shape) = []",
    .effect = Effect::kCall,
    .supplies_outputs = true,
    .shape = if_shape,
    .gradient = if_gradient,
    .kernels = {make_if},
};

TENON_OP(StatelessIf) = {
    .inputs = "cond: Tcond, input: Tin",
    .outputs = "output: Tout",
    .attrs =
        "Tcond: type; Tin: list(type) >= 0; Tout: list(type) >= 0; then_branch: func; "
        "else_branch: func; output_shapes: list(shape) = []",
    .supplies_outputs = true,
    .shape = if_shape,
    .gradient = if_gradient,
    .kernels = {make_if},
};

TENON_OP(Case) = {
    .inputs = "branch_index: int32, input: Tin",
    .outputs = "output: Tout",
    .attrs =
        "Tin: list(type) >= 0; Tout: list(type) >= 0; branches: list(func) >= 1; "
        "output_shapes: list(shape) = []",
    .effect = Effect::kCall,
    .supplies_outputs = true,
    .shape = case_shape,
    .gradient = case_gradient,
    .kernels = {make_case},
};

TENON_OP(StatelessCase) = {
    .inputs = "branch_index: int32, input: Tin",
    .outputs = "output: Tout",
    .attrs =
        "Tin: list(type) >= 0; Tout: list(type) >= 0; branches: list(func) >= 1; "
        "output_shapes: list(shape) = []",
    .supplies_outputs = true,
    .shape = case_shape,
    .gradient = case_gradient,
    .kernels = {make_case},
};

}  // namespace tenon
