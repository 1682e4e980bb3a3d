// The gradient of ops that run one of several functions, or the only one: the same choice among
// their backward functions.
#pragma once

#include "tenon/base/function_ref.h"
#include "tenon/graph/gradient.h"

namespace tenon {

// An op that chooses among branches, and its attributes that name them.
struct BranchOp {
  std::string name;
  AttrMap attrs;
};

// Differentiates the forward node, whose inputs before `first_arg` choose among `branches` and
// whose other inputs are their arguments. `make` gives the op for the backward functions; `pure`:
// none of them reads variables.
Status branch_gradient(
    Gradient& g, std::span<const FunctionAttr> branches, int first_arg,
    FunctionRef<BranchOp(std::span<const FunctionAttr> backward, bool pure)> make);

}  // namespace tenon
