// GatherNd and ScatterNd, each the other's gradient.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/ops/array/elements.h"
#include "tenon/ops/array/nd_index.h"

namespace tenon {
namespace {

Status gather_nd_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(bad_index_policy(c.attrs()).status());
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  const PartialShape& params = c.input(0);
  const PartialShape& indices = c.input(1);
  if (!params.has_rank() || !indices.has_rank() || indices[indices.rank() - 1] < 0) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  const int64_t depth = indices[indices.rank() - 1];
  if (depth > params.rank()) {
    return invalid_argument("index innermost dimension length must be <= params rank; saw: ", depth,
                            " vs. ", params.rank());
  }
  std::vector<int64_t> y(indices.dims().begin(), indices.dims().end() - 1);
  for (int axis = static_cast<int>(depth); axis < params.rank(); ++axis) y.push_back(params[axis]);
  PartialShape shape{std::span<const int64_t>(y)};
  if (params.num_elements() == 0 && shape.is_fully_known() && indices.num_elements() > 0) {
    return invalid_argument("Requested more than 0 entries, but params is empty. Params shape: ",
                            params);
  }
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

StatusOr<Kernel> make_gather_nd(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const BadIndex policy, bad_index_policy(p.attrs()));
  if (is_object(p.input_dtype(0)) && policy == BadIndex::kIgnore) {
    return unimplemented("GatherNd ignores bad indices of numbers only");
  }
  const NdLayout layout(p.input_shape(0), p.input_shape(1));
  const size_t bytes = static_cast<size_t>(layout.inner) * size_of(p.input_dtype(0));
  Kernel kernel;
  visit<NdIndexTypes>(p.input_dtype(1), [&]<class Index>() {
    kernel = [=](KernelRun& r) -> Status {
      if (bytes == 0) return absl::OkStatus();
      const Index* index = r.in<Index>(1);
      for (int64_t i = 0; i < layout.slices; ++i, index += layout.dims.size()) {
        const int64_t slice = layout.slice_at(index);
        char* to = r.out<char>(0) + static_cast<size_t>(i) * bytes;
        if (slice >= 0) {
          std::memcpy(to, r.in<char>(0) + static_cast<size_t>(slice) * bytes, bytes);
        } else if (policy == BadIndex::kIgnore) {
          std::memset(to, 0, bytes);
        } else {
          return outside_params(i, index, layout);
        }
      }
      own_elements(r, 0, 0);
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status gather_nd_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint shape = b.op("Shape", {g.input(0)}, {{"out_type", b.dtype(g.input(1))}});
  g.set_dx(0, b.op("ScatterNd", {g.input(1), g.dy(), shape},
                   {{"bad_indices_policy", g.attr<std::string>("bad_indices_policy")}}));
  return absl::OkStatus();
}

Status scatter_nd_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(bad_index_policy(c.attrs()).status());
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  TENON_ASSIGN_OR_RETURN(PartialShape y, c.shape_from_input(2));
  if (c.constant(2)) {
    TENON_RETURN_IF_ERROR(Shape::make(y.dims()).status());
  }
  if (c.constant(2)) TENON_RETURN_IF_ERROR(check_nd_updates(y, c.input(0), c.input(1)));
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Strings of one place are joined in the order of the indices.
StatusOr<Kernel> make_scatter_nd_strings(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const BadIndex policy, bad_index_policy(p.attrs()));
  if (p.output_dtype(0) != DType::kString) return unimplemented("ScatterNd of these is another's");
  const Shape shape = p.output_shape(0).to_shape();
  const NdLayout layout(shape, p.input_shape(0));
  Kernel kernel;
  visit<NdIndexTypes>(p.input_dtype(0), [&]<class Index>() {
    kernel = [=](KernelRun& r) -> Status {
      std::vector<std::string> texts(static_cast<size_t>(shape.num_elements()));
      if (texts.empty()) return absl::OkStatus();
      const Index* index = r.in<Index>(0);
      const std::string_view* updates = r.in<std::string_view>(1);
      for (int64_t i = 0; i < layout.slices; ++i, index += layout.dims.size()) {
        const int64_t slice = layout.slice_at(index);
        if (slice < 0 && policy == BadIndex::kIgnore) continue;
        if (slice < 0) return outside_params(i, index, layout);
        for (int64_t j = 0; j < layout.inner; ++j) {
          texts[static_cast<size_t>(slice * layout.inner + j)] += updates[i * layout.inner + j];
        }
      }
      r.set_output(0, Tensor::strings(shape, texts));
      return absl::OkStatus();
    };
  });
  return kernel;
}

StatusOr<Kernel> make_scatter_nd(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const BadIndex policy, bad_index_policy(p.attrs()));
  const DType dtype = p.output_dtype(0);
  // Booleans are or-ed, numbers added.
  const kernels::BinaryKernel add = kernels::find_binary(
      dtype == DType::kBool ? kernels::BinaryOp::kLogicalOr : kernels::BinaryOp::kAdd, dtype);
  if (!add) return unimplemented("ScatterNd has no CPU kernel for dtype ", dtype);
  const Shape shape = p.output_shape(0).to_shape();
  const NdLayout layout(shape, p.input_shape(0));
  const size_t bytes = static_cast<size_t>(layout.inner) * size_of(dtype);
  const size_t total = static_cast<size_t>(shape.num_elements()) * size_of(dtype);
  Kernel kernel;
  visit<NdIndexTypes>(p.input_dtype(0), [&]<class Index>() {
    kernel = [=](KernelRun& r) -> Status {
      if (total == 0) return absl::OkStatus();
      std::memset(r.output(0).mutable_raw(), 0, total);
      const Index* index = r.in<Index>(0);
      for (int64_t i = 0; i < layout.slices; ++i, index += layout.dims.size()) {
        const int64_t slice = layout.slice_at(index);
        if (slice < 0) {
          if (policy == BadIndex::kIgnore) continue;
          return outside_params(i, index, layout);
        }
        char* to = r.out<char>(0) + static_cast<size_t>(slice) * bytes;
        add(to, 1, r.in<char>(1) + static_cast<size_t>(i) * bytes, 1, to, layout.inner);
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status scatter_nd_gradient(Gradient& g) {
  g.set_dx(1, g.build().op("GatherNd", {g.dy(), g.input(0)}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(GatherNd) = {
    .inputs = "params: Tparams, indices: Tindices",
    .outputs = "output: Tparams",
    .attrs = "Tparams: type; Tindices: {int16, int32, int64}; bad_indices_policy: string = ''",
    .shape = gather_nd_shape,
    .gradient = gather_nd_gradient,
    .kernels = {make_gather_nd},
};

TENON_OP(ScatterNd) = {
    .inputs = "indices: Tindices, updates: T, shape: Tindices",
    .outputs = "output: T",
    .attrs = "T: type; Tindices: {int16, int32, int64}; bad_indices_policy: string = ''",
    .host_inputs = {2},
    .shape = scatter_nd_shape,
    .gradient = scatter_nd_gradient,
    .kernels = {make_scatter_nd, make_scatter_nd_strings},
};

}  // namespace tenon
