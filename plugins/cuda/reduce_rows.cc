// Reductions over axes, the gradient of a bias, and the index of the largest.
#include <algorithm>

#include "plugins/cuda/kernel.h"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

// Neighbouring axes that are reduced, or kept, as one.
struct Group {
  int64_t size;
  bool reduced;
};

std::vector<Group> groups_of(const std::vector<int64_t>& dims, const std::vector<bool>& reduced) {
  std::vector<Group> groups;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] == 1) continue;
    if (!groups.empty() && groups.back().reduced == reduced[axis]) {
      groups.back().size *= dims[axis];
    } else {
      groups.push_back({dims[axis], reduced[axis]});
    }
  }
  return groups;
}

// One pass for each group that is reduced, the last one first.
std::vector<ReduceShape> passes_of(std::vector<Group> groups) {
  std::vector<ReduceShape> passes;
  for (size_t at = groups.size(); at-- > 0;) {
    if (!groups[at].reduced) continue;
    ReduceShape pass;
    for (size_t i = 0; i < at; ++i) pass.outer *= groups[i].size;
    pass.reduced = groups[at].size;
    for (size_t i = at + 1; i < groups.size(); ++i) pass.inner *= groups[i].size;
    passes.push_back(pass);
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return passes;
}

bool reduces(ReduceOp op, int32_t dtype, bool mean) {
  if (op == ReduceOp::kAll || op == ReduceOp::kAny) return dtype == kBool;
  if (dtype == kInt32 || dtype == kInt64) return !mean;
  return dtype == kFloat || dtype == kDouble || dtype == kHalf || dtype == kBfloat16;
}

struct Reduction {
  ReduceOp op;
  int32_t dtype;
  double scale;
  std::vector<ReduceShape> passes;
  std::vector<size_t> between;  // temporaries that passes write to, but the last
  size_t scratch;
};

TenonStatus* run_reduction(const Reduction& it, TenonRun* r) {
  const cudaStream_t stream = enqueue(r);
  const void* x = input<void>(r, 0);
  for (size_t i = 0; i < it.passes.size(); ++i) {
    const bool last = i + 1 == it.passes.size();
    void* y = last ? output<void>(r, 0) : temporary(r, it.between[i]);
    if (TenonStatus* status =
            status_of(reduce(stream, it.op, it.dtype, it.passes[i], last ? it.scale : 1.0, x, y,
                             temporary(r, it.scratch)),
                      "a reduction")) {
      return status;
    }
    x = y;
  }
  return nullptr;
}

TenonStatus* make_reduction(TenonPrepare* prepare, ReduceOp op, bool mean,
                            const std::vector<bool>& reduced, RunFunction& run) {
  const TenonType x = host->prepare_input(prepare, 0);
  if (!reduces(op, x.dtype, mean)) return unimplemented("reductions of this dtype");
  if (element_count(x) == 0) return unimplemented("a reduction over nothing");
  Reduction it{op, x.dtype, 1.0, passes_of(groups_of(dims_of(x), reduced)), {}, 0};
  if (it.passes.empty()) {
    const size_t bytes = static_cast<size_t>(element_count(x)) * size_of(x.dtype);
    run = [bytes](TenonRun* r) {
      return status_of(cudaMemcpyAsync(output<void>(r, 0), input<void>(r, 0), bytes,
                                       cudaMemcpyDeviceToDevice, enqueue(r)),
                       "a copy");
    };
    return nullptr;
  }
  size_t scratch = 0;
  for (const ReduceShape& pass : it.passes) {
    if (mean) it.scale /= static_cast<double>(pass.reduced);
    scratch = std::max(scratch, reduce_scratch(pass));
    const auto results = static_cast<size_t>(pass.outer * pass.inner);
    it.between.push_back(host->reserve_temporary(prepare, results * size_of(x.dtype)));
  }
  it.scratch = host->reserve_temporary(prepare, std::max<size_t>(scratch, 1));
  run = [it](TenonRun* r) { return run_reduction(it, r); };
  return nullptr;
}

template <ReduceOp op, bool mean = false>
TenonStatus* prepare_reduce(TenonPrepare* prepare, RunFunction& run) {
  const int64_t rank = host->prepare_input(prepare, 0).rank;
  std::vector<int64_t> axes;
  if (!constant_integers(prepare, 1, axes)) return unimplemented("axes that are not known");
  std::vector<bool> reduced(static_cast<size_t>(rank), false);
  for (int64_t axis : axes) {
    if (axis < -rank || axis >= rank) return unimplemented("an axis that is not there");
    reduced[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = true;
  }
  return make_reduction(prepare, op, mean, reduced, run);
}

TenonStatus* prepare_bias_grad(TenonPrepare* prepare, RunFunction& run) {
  const TenonType dy = host->prepare_input(prepare, 0);
  std::vector<bool> reduced(static_cast<size_t>(dy.rank), true);
  const bool first = string_attr(prepare, "data_format") == "NCHW";
  reduced[static_cast<size_t>(first ? 1 : dy.rank - 1)] = false;
  return make_reduction(prepare, ReduceOp::kSum, false, reduced, run);
}

template <bool largest>
TenonStatus* prepare_arg(TenonPrepare* prepare, RunFunction& run) {
  const TenonType x = host->prepare_input(prepare, 0), y = host->prepare_output(prepare, 0);
  std::vector<int64_t> axes;
  if (!constant_integers(prepare, 1, axes) || axes.size() != 1) {
    return unimplemented("an axis that is not known");
  }
  const int64_t axis = axes[0] < 0 ? axes[0] + x.rank : axes[0];
  const bool known =
      x.dtype == kFloat || x.dtype == kDouble || x.dtype == kInt32 || x.dtype == kInt64;
  if (!known || (y.dtype != kInt32 && y.dtype != kInt64) || axis < 0 || axis >= x.rank ||
      element_count(x) == 0) {
    return unimplemented("an index of this dtype");
  }
  ReduceShape shape;
  for (int64_t i = 0; i < axis; ++i) shape.outer *= x.dims[i];
  shape.reduced = x.dims[axis];
  for (int64_t i = axis + 1; i < x.rank; ++i) shape.inner *= x.dims[i];
  run = [shape, dtype = x.dtype, index = y.dtype](TenonRun* r) {
    return status_of(arg_extreme(enqueue(r), largest, dtype, index, shape, input<void>(r, 0),
                                 output<void>(r, 0)),
                     "an index of the largest");
  };
  return nullptr;
}

}  // namespace

void add_reduce_rows(const AddRow& add) {
  add("Sum", prepare_reduce<ReduceOp::kSum>);
  add("Mean", prepare_reduce<ReduceOp::kSum, true>);
  add("Max", prepare_reduce<ReduceOp::kMax>);
  add("Min", prepare_reduce<ReduceOp::kMin>);
  add("Prod", prepare_reduce<ReduceOp::kProd>);
  add("All", prepare_reduce<ReduceOp::kAll>);
  add("Any", prepare_reduce<ReduceOp::kAny>);
  add("BiasAddGrad", prepare_bias_grad);
  add("ArgMax", prepare_arg<true>);
  add("ArgMin", prepare_arg<false>);
}

}  // namespace plugin::cuda
