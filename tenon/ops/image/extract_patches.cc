// ExtractImagePatches and ExtractVolumePatches: windows of images, each one row of depth.
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

// Two spatial dimensions, or three for volumes, which have no rates.
struct PatchGeometry {
  int rank = 2;
  std::array<int64_t, 3> size{1, 1, 1}, stride{1, 1, 1}, rate{1, 1, 1};
};

StatusOr<PatchGeometry> patch_geometry(const AttrMap& attrs) {
  PatchGeometry g;
  const auto read = [&](std::string_view name, std::array<int64_t, 3>& to) -> Status {
    const auto& values = attrs.get<std::vector<int64_t>>(name);
    if (values.size() != static_cast<size_t>(g.rank) + 2) {
      return invalid_argument(name, " must have ", g.rank + 2, " elements, it has ", values.size());
    }
    if (values.front() != 1 || values.back() != 1) {
      return unimplemented("Only support ", name, " across space.");
    }
    for (int i = 0; i < g.rank; ++i) {
      const int64_t value = values[static_cast<size_t>(i) + 1];
      if (value < 1) return invalid_argument(name, " must be positive, found ", value);
      to[static_cast<size_t>(i)] = value;
    }
    return absl::OkStatus();
  };
  g.rank = attrs.get<std::vector<int64_t>>("ksizes").size() == 5 ? 3 : 2;
  TENON_RETURN_IF_ERROR(read("ksizes", g.size));
  TENON_RETURN_IF_ERROR(read("strides", g.stride));
  if (attrs.get_if<std::vector<int64_t>>("rates")) TENON_RETURN_IF_ERROR(read("rates", g.rate));
  return g;
}

StatusOr<Window> patch_window(const PatchGeometry& g, int axis, int64_t input,
                              const AttrMap& attrs) {
  const auto i = static_cast<size_t>(axis);
  return window_output(input, g.size[i], g.rate[i], g.stride[i], attrs.get<std::string>("padding"));
}

Status patches_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PatchGeometry g, patch_geometry(c.attrs()));
  TENON_RETURN_IF_ERROR(c.expect_rank(0, g.rank + 2));
  PartialShape y = c.input(0).has_rank() ? c.input(0) : PartialShape::unknown_of_rank(g.rank + 2);
  int64_t cells = 1;
  for (int axis = 0; axis < g.rank; ++axis) {
    TENON_ASSIGN_OR_RETURN(const Window window, patch_window(g, axis, y[axis + 1], c.attrs()));
    y.set(axis + 1, window.output);
    if (__builtin_mul_overflow(cells, g.size[static_cast<size_t>(axis)], &cells)) {
      return invalid_argument("ksizes are too large");
    }
  }
  int64_t depth = -1;
  if (y[g.rank + 1] >= 0 && __builtin_mul_overflow(y[g.rank + 1], cells, &depth)) {
    return invalid_argument("ksizes are too large");
  }
  y.set(g.rank + 1, depth);
  if (y.is_fully_known()) {
    TENON_RETURN_IF_ERROR(Shape::make(y.dims(), size_of(c.input_dtype(0))).status());
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Images of two dimensions are volumes of one plane.
StatusOr<Kernel> make_patches(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const PatchGeometry geometry, patch_geometry(p.attrs()));
  const Shape& x = p.input_shape(0);
  PatchGeometry g = geometry;
  std::array<int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, before{0, 0, 0};
  const int first = 3 - g.rank;
  g.size = g.stride = g.rate = {1, 1, 1};
  for (int axis = 0; axis < g.rank; ++axis) {
    const auto from = static_cast<size_t>(axis), to = static_cast<size_t>(axis + first);
    TENON_ASSIGN_OR_RETURN(const Window window,
                           patch_window(geometry, axis, x[axis + 1], p.attrs()));
    g.size[to] = geometry.size[from];
    g.stride[to] = geometry.stride[from];
    g.rate[to] = geometry.rate[from];
    in[to] = x[axis + 1];
    out[to] = window.output;
    before[to] = window.before;
  }
  const size_t pixel = static_cast<size_t>(x[g.rank + 1]) * size_of(p.input_dtype(0));
  const int64_t batch = x[0];
  const bool empty = p.output_shape(0).num_elements() == 0;
  return Kernel([=](KernelRun& r) {
    if (empty) return absl::OkStatus();
    const size_t patch = static_cast<size_t>(g.size[0] * g.size[1] * g.size[2]) * pixel;
    const auto outside = [&](int64_t at, size_t axis) { return at < 0 || at >= in[axis]; };
    parallel_for(batch * out[0] * out[1], 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t plane = i / out[1] % out[0] * g.stride[0] - before[0];
        const int64_t row = i % out[1] * g.stride[1] - before[1];
        const char* image =
            r.in<char>(0) +
            static_cast<size_t>(i / (out[0] * out[1]) * in[0] * in[1] * in[2]) * pixel;
        char* to = r.out<char>(0) + static_cast<size_t>(i * out[2]) * patch;
        for (int64_t j = 0; j < out[2]; ++j) {
          const int64_t column = j * g.stride[2] - before[2];
          for (int64_t a = 0; a < g.size[0]; ++a) {
            for (int64_t b = 0; b < g.size[1]; ++b) {
              for (int64_t c = 0; c < g.size[2]; ++c, to += pixel) {
                const int64_t z = plane + a * g.rate[0], y = row + b * g.rate[1];
                const int64_t x = column + c * g.rate[2];
                if (outside(z, 0) || outside(y, 1) || outside(x, 2)) {
                  std::memset(to, 0, pixel);
                } else {
                  std::memcpy(to, image + static_cast<size_t>((z * in[1] + y) * in[2] + x) * pixel,
                              pixel);
                }
              }
            }
          }
        }
      }
    });
    return absl::OkStatus();
  });
}

// Patches of the pixels' numbers say where each element came from; dy goes back there.
// array_grad.py, _ExtractImagePatchesGrad, which makes a sparse matrix of it.
Status patches_gradient(Gradient& g) {
  const PartialShape x = g.input_shape(0);
  const PartialShape y = g.graph().value(g.output(0)).shape;
  if (!x.has_rank() || !y.has_rank()) {
    return unimplemented("the gradient of ", g.forward().op->name(), " needs a known rank");
  }
  GraphBuilder& b = g.build();
  const int rank = x.rank() - 2;
  const Endpoint shape = b.shape_of(g.input(0));
  const Endpoint space = b.slice(shape, 1, rank + 1);
  const Endpoint batch = b.slice(shape, 0, 1), depth = b.slice(shape, rank + 1, rank + 2);
  const Endpoint pixels = b.op("Prod", {space, b.integers({0})}, {{"keep_dims", false}});
  // From one on: padding gives 0.
  const Endpoint numbers = b.reshape(
      b.op("Range",
           {b.scalar<int32_t>(1), b.add(pixels, b.scalar<int32_t>(1)), b.scalar<int32_t>(1)}),
      b.concat({b.integers({1}), space, b.integers({1})}, 0));
  AttrMap attrs = g.forward().attrs;
  attrs.set("T", DType::kInt32);
  const Endpoint from =
      b.sub(b.reshape(b.op(g.forward().op->name(), {numbers}, std::move(attrs)), b.integers({-1})),
            b.scalar<int32_t>(1));
  // [batch, places, depth] to [places, batch, depth].
  const Endpoint rows = b.op(
      "Transpose",
      {b.reshape(g.dy(), b.concat({batch, b.shape_of(from), depth}, 0)), b.integers({1, 0, 2})});
  const Endpoint sums = b.op("UnsortedSegmentSum", {rows, from, pixels});
  g.set_dx(0, b.reshape(b.op("Transpose", {sums, b.integers({1, 0, 2})}), shape));
  return absl::OkStatus();
}

constexpr OpDecl patches(ArgsText inputs, AttrsText attrs) {
  return {
      .inputs = inputs,
      .outputs = "patches: T",
      .attrs = attrs,
      .shape = patches_shape,
      .rows = Rows::kIndependent,
      .gradient = patches_gradient,
      .kernels = {make_patches},
  };
}

}  // namespace

TENON_OP(ExtractImagePatches) =
    patches("images: T",
            "ksizes: list(int) >= 4; strides: list(int) >= 4; rates: list(int) >= 4; "
            "T: {real, complex64, complex128, bool}; padding: {'SAME', 'VALID'}");
TENON_OP(ExtractVolumePatches) = patches(
    "input: T",
    "ksizes: list(int) >= 5; strides: list(int) >= 5; T: {real}; padding: {'SAME', 'VALID'}");

}  // namespace tenon
