// Passes: rewrites of a Graph that keep what it computes. One optimisation a file.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

class FunctionSizes;

#ifdef NDEBUG
inline constexpr bool kVerifyPasses = false;
#else
inline constexpr bool kVerifyPasses = true;  // debug and sanitizer builds
#endif

// One rewrite by a rule (passes/rewrite.h).
struct Rewrite {
  std::string_view rule;
  std::string node;  // that it replaced
  std::string by;
};

struct PassContext {
  // Receives one line for each rewrite (`--explain`); may be empty.
  std::function<void(std::string_view)> explain;
  ResourceStore* resources = nullptr;
  // The value of a frozen variable by name; an empty Tensor for every other one.
  std::function<Tensor(std::string_view)> frozen_variable;
  // Does the device that will run the graph want nodes to be fused into this op? Not set: yes.
  std::function<bool(std::string_view op)> wants_fusion;
  // How many nodes copies of functions may add, less those that were added; null: growth_limit().
  int64_t* growth = nullptr;
  std::vector<Rewrite>* rewrites = nullptr;  // gets each of them, if not null
  std::string_view without_rule;             // is left out, for tests
  FunctionSizes* sizes = nullptr;            // null: looked at anew

  bool wants(std::string_view op) const { return !wants_fusion || wants_fusion(op); }

  template <class... Parts>
  void note(const Parts&... parts) const {
    if (explain) explain(cat(parts...));
  }
};

// PartitionedCall and StatefulPartitionedCall are replaced by their bodies, again and again, the
// outer ones first, until none is left or the budget is used up: the calls that are left run their
// function. NOT_FOUND or UNIMPLEMENTED name what a body lacks; INVALID_ARGUMENT a function that
// calls itself whatever happens, or calls more than 100 deep.
Status inline_functions(Graph& graph, const PassContext& context);

// Reads of frozen variables become constants.
Status freeze_variables(Graph& graph, const PassContext& context);

// Reads and writes of one resource, and everything with an effect outside, keep program order.
Status order_effects(Graph& graph, const PassContext& context);

// If, Case and While run functions of their own, in the graph's library, that know the constants,
// variables and shapes which the node gives them, until the growth is used up: what is left runs
// functions that are shared.
Status specialize_functions(Graph& graph, const PassContext& context);

// Nodes whose inputs are all constant are computed now, where the result is not much larger than
// its inputs.
Status fold_constants(Graph& graph, const PassContext& context);

// Nodes with equal op, attributes and inputs, without effects, become one.
Status eliminate_common_subexpressions(Graph& graph, const PassContext& context);

// Nodes that no result needs and that have no effect are removed.
Status remove_dead_nodes(Graph& graph, const PassContext& context);

// Applies the rules of one table each (passes/rewrite.h).
// x*1, x-0, transposes that cancel, casts to the same dtype, reshapes of reshapes, identities.
Status simplify_arithmetic(Graph& graph, const PassContext& context);

// Inference batch normalisation and constant scales become part of the convolution, depthwise too,
// or matmul before.
Status fold_batch_norm(Graph& graph, const PassContext& context);

// Conv2D, DepthwiseConv2dNative or MatMul + bias + residual + activation, swish and gelu too,
// become _FusedConv2D, _FusedDepthwiseConv2dNative or _FusedMatMul.
Status fuse_bias_activation(Graph& graph, const PassContext& context);

// Chains and trees of float32 element-wise ops become one _FusedElementwise; those with half
// precision, casts and truth values too one _FusedMixedElementwise.
Status fuse_elementwise(Graph& graph, const PassContext& context);

// A batch normalisation of a training step takes in the addition and the Relu that follow it, and
// its gradient the Relu's, for devices that want _FusedBatchNormEx and _FusedBatchNormGradEx.
Status fuse_batch_norm(Graph& graph, const PassContext& context);

struct NamedPass {
  std::string_view name;
  Status (*run)(Graph&, const PassContext&);
};

// Runs `passes` in order. With `verify_each` the verifier sees the graph after each of them;
// INTERNAL names the pass that left an illegal one.
Status run_passes(std::span<const NamedPass> passes, Graph& graph, const PassContext& context,
                  bool verify_each = kVerifyPasses);

// All of the above in the order that works. `optimize` false: only what is needed to run at all.
Status run_passes(Graph& graph, const PassContext& context, bool optimize);

}  // namespace tenon
