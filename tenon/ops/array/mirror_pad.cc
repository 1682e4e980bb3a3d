// MirrorPad and MirrorPadGrad. REFLECT leaves the border element out, SYMMETRIC repeats it.
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"
#include "tenon/ops/array/padding.h"

namespace tenon {
namespace {

// The padded tensor is filled from the inside out: first the interior, then along one axis after
// the other the two borders, copied backwards from what is there already.
struct MirrorStep {
  kernels::StridedCopy copy;
  int64_t from = 0;  // element offsets within the padded tensor
  int64_t to = 0;
};
struct MirrorPlan {
  kernels::StridedCopy interior;  // from the tensor without padding
  int64_t interior_at = 0;
  std::vector<MirrorStep> steps;
  Shape padded;
};

StatusOr<MirrorPlan> plan_mirror(const Shape& inside, const Paddings& paddings, bool reflect) {
  MirrorPlan plan;
  for (int axis = 0; axis < inside.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    const int64_t most = inside[axis] - (reflect ? 1 : 0);
    if (paddings.before[i] > most || paddings.after[i] > most) {
      return invalid_argument("paddings must be no greater than the dimension size",
                              reflect ? " minus one" : "", ": ", paddings.before[i], ", ",
                              paddings.after[i], " greater than ", most);
    }
    plan.padded.append(paddings.before[i] + inside[axis] + paddings.after[i]);
  }
  const Dims strides = kernels::contiguous_strides(plan.padded.dims());
  plan.interior.dims = Dims(inside.dims());
  plan.interior.source_strides = kernels::contiguous_strides(inside.dims());
  plan.interior.target_strides = strides;
  for (size_t i = 0; i < strides.size(); ++i) plan.interior_at += paddings.before[i] * strides[i];
  const int64_t skip = reflect ? 1 : 0;
  // Axes before `axis` hold the interior only, those after it are complete.
  for (int axis = inside.rank() - 1; axis >= 0; --axis) {
    const auto i = static_cast<size_t>(axis);
    MirrorStep step;
    int64_t base = 0;
    for (size_t j = 0; j < strides.size(); ++j) {
      if (j < i) base += paddings.before[j] * strides[j];
      step.copy.dims.push_back(j < i ? inside[static_cast<int>(j)]
                                     : plan.padded[static_cast<int>(j)]);
    }
    step.copy.source_strides = step.copy.target_strides = strides;
    step.copy.target_strides[i] = -strides[i];
    const int64_t first = paddings.before[i];
    const int64_t last = first + inside[axis] - 1;
    step.copy.dims[i] = paddings.before[i];
    step.from = base + (first + skip) * strides[i];
    step.to = base + (first - 1) * strides[i];
    if (step.copy.dims[i] > 0) plan.steps.push_back(step);
    step.copy.dims[i] = paddings.after[i];
    step.copy.source_strides[i] = -strides[i];
    step.copy.target_strides[i] = strides[i];
    step.from = base + (last - skip) * strides[i];
    step.to = base + (last + 1) * strides[i];
    if (step.copy.dims[i] > 0) plan.steps.push_back(step);
  }
  return plan;
}

StatusOr<Kernel> make_mirror_pad(Prepare& p) {
  const Shape& inside = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const Paddings paddings, read_paddings(*p.constant(1), inside.rank()));
  TENON_ASSIGN_OR_RETURN(const MirrorPlan plan,
                         plan_mirror(inside, paddings, p.attr<std::string>("mode") == "REFLECT"));
  const auto size = static_cast<int64_t>(size_of(p.input_dtype(0)));
  return [=](KernelRun& r) {
    char* y = r.out<char>(0);
    const auto bytes = static_cast<size_t>(size);
    kernels::run(plan.interior, bytes, r.input(0).raw(), y + plan.interior_at * size);
    for (const MirrorStep& step : plan.steps) {
      kernels::run(step.copy, bytes, y + step.from * size, y + step.to * size);
    }
    own_elements(r, 0, 0);
    return absl::OkStatus();
  };
}

Status mirror_pad_gradient(Gradient& g) {
  g.set_dx(0, g.build().op("MirrorPadGrad", {g.dy(), g.input(1)},
                           {{"mode", g.attr<std::string>("mode")}}));
  return absl::OkStatus();
}

// The shape inside the paddings.
StatusOr<Shape> unpadded(const Shape& padded, const Paddings& paddings) {
  Shape inside = padded;
  for (int axis = 0; axis < padded.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    inside.set(axis, padded[axis] - paddings.before[i] - paddings.after[i]);
    if (inside[axis] < 0) {
      return invalid_argument("the paddings of dimension ", axis, " are more than its size ",
                              padded[axis]);
    }
  }
  return inside;
}

Status mirror_pad_grad_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  if (!c.constant(1) || !x.is_fully_known()) {
    c.set_output(0, x.has_rank() ? PartialShape::unknown_of_rank(x.rank()) : PartialShape());
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const Paddings paddings, read_paddings(*c.constant(1), x.rank()));
  TENON_ASSIGN_OR_RETURN(Shape inside, unpadded(x.to_shape(), paddings));
  c.set_output(0, std::move(inside));
  return absl::OkStatus();
}

// The steps backwards: every border is added to where it came from.
StatusOr<Kernel> make_mirror_pad_grad(Prepare& p) {
  const DType dtype = p.input_dtype(0);
  if (!is_floating(dtype) && !is_integer(dtype) && !is_complex(dtype)) {
    return unimplemented("MirrorPadGrad has no CPU kernel for dtype ", dtype);
  }
  const Shape inside = p.output_shape(0).to_shape();
  TENON_ASSIGN_OR_RETURN(const Paddings paddings, read_paddings(*p.constant(1), inside.rank()));
  TENON_ASSIGN_OR_RETURN(MirrorPlan plan,
                         plan_mirror(inside, paddings, p.attr<std::string>("mode") == "REFLECT"));
  for (MirrorStep& step : plan.steps) {
    std::swap(step.copy.source_strides, step.copy.target_strides);
    std::swap(step.from, step.to);
  }
  std::reverse(plan.steps.begin(), plan.steps.end());
  std::swap(plan.interior.source_strides, plan.interior.target_strides);
  const auto size = static_cast<int64_t>(size_of(dtype));
  const size_t bytes = static_cast<size_t>(plan.padded.num_elements() * size);
  p.reserve_scratch(bytes);
  return [=](KernelRun& r) {
    if (bytes == 0) return absl::OkStatus();
    char* sums = r.scratch<char>();
    std::memcpy(sums, r.input(0).raw(), bytes);
    for (const MirrorStep& step : plan.steps) {
      kernels::run_add(step.copy, dtype, sums + step.from * size, sums + step.to * size);
    }
    kernels::run(plan.interior, static_cast<size_t>(size), sums + plan.interior_at * size,
                 r.output(0).mutable_raw());
    return absl::OkStatus();
  };
}

Status mirror_pad_grad_gradient(Gradient& g) {
  g.set_dx(
      0, g.build().op("MirrorPad", {g.dy(), g.input(1)}, {{"mode", g.attr<std::string>("mode")}}));
  return absl::OkStatus();
}

constexpr OpDecl mirroring(ShapeFn shape, GradientFn gradient, KernelFactory factory) {
  return {
      .inputs = "input: T, paddings: Tpaddings",
      .outputs = "output: T",
      .attrs = "T: type; Tpaddings: {int32, int64} = int32; mode: {'REFLECT', 'SYMMETRIC'}",
      .host_inputs = {1},
      .shape = shape,
      .gradient = gradient,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(MirrorPad) = mirroring(padded_shape, mirror_pad_gradient, make_mirror_pad);
TENON_OP(MirrorPadGrad) = mirroring(mirror_pad_grad_shape, mirror_pad_grad_gradient,
                                    make_mirror_pad_grad);

}  // namespace tenon
