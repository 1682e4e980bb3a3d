// SparseToDense: values at their places in a tensor filled with a default.
#include <cstring>

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status sparse_to_dense_shape(ShapeContext& c) {
  const PartialShape& indices = c.input(0);
  const PartialShape& values = c.input(2);
  if (indices.has_rank() && indices.rank() > 2) {
    return invalid_argument("sparse_indices should be a scalar, vector, or matrix, got shape ",
                            indices);
  }
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
  TENON_ASSIGN_OR_RETURN(PartialShape y, c.shape_from_input(1));
  if (indices.has_rank()) {
    const int64_t count = indices.rank() == 0 ? 1 : indices[0];
    const int64_t depth = indices.rank() == 2 ? indices[1] : 1;
    if (y.has_rank() && depth >= 0 && depth != y.rank()) {
      return invalid_argument("output_shape has incorrect number of elements: ", y.rank(),
                              " should be: ", depth);
    }
    if (values.has_rank() && (values.rank() > 1 || (values.rank() == 1 && values[0] >= 0 &&
                                                    count >= 0 && values[0] != count))) {
      return invalid_argument("sparse_values has incorrect shape ", values, ", should be [] or [",
                              count, "]");
    }
  }
  if (c.constant(1)) {
    TENON_RETURN_IF_ERROR(Shape::make(y.dims(), size_of(c.input_dtype(2))).status());
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Offset in the dense tensor of each row, checked.
template <class Index>
Status dense_offsets(const Tensor& indices, const Shape& shape, bool validate,
                     std::vector<int64_t>& offsets) {
  const int rank = shape.rank();
  const Index* row = indices.data<Index>();
  const int64_t count = indices.rank() == 0 ? 1 : indices.dim(0);
  for (int64_t i = 0; i < count; ++i, row += rank) {
    int64_t offset = 0;
    for (int axis = 0; axis < rank; ++axis) {
      if (row[axis] < 0 || row[axis] >= shape[axis]) {
        return invalid_argument("indices[", i, "] = [",
                                join(std::span(row, static_cast<size_t>(rank)), ","),
                                "] is out of bounds: need 0 <= index < ", shape);
      }
      offset = offset * shape[axis] + row[axis];
    }
    if (validate && i > 0 && offset <= offsets.back()) {
      return invalid_argument("indices[", i, "] is ",
                              offset == offsets.back() ? "repeated" : "out of order");
    }
    offsets.push_back(offset);
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_sparse_to_dense(Prepare& p) {
  const Shape shape = p.output_shape(0).to_shape();
  const size_t bytes = size_of(p.output_dtype(0));
  const bool validate = p.attr<bool>("validate_indices");
  const bool one_value = p.input_shape(2).rank() == 0;
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(0), [&]<class Index>() {
    kernel = [=](KernelRun& r) -> Status {
      std::vector<int64_t> offsets;
      TENON_RETURN_IF_ERROR(dense_offsets<Index>(r.input(0), shape, validate, offsets));
      char* y = r.out<char>(0);
      kernels::fill(bytes, r.input(3).raw(), y, shape.num_elements());
      for (size_t i = 0; i < offsets.size(); ++i) {
        std::memcpy(y + static_cast<size_t>(offsets[i]) * bytes,
                    r.in<char>(2) + (one_value ? 0 : i) * bytes, bytes);
      }
      own_elements(r, 0, 2, 2);
      return absl::OkStatus();
    };
  });
  return kernel;
}

// sparse_grad.py, _SparseToDenseGrad.
Status sparse_to_dense_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const PartialShape indices = g.input_shape(0);
  if (!indices.has_rank()) {
    return unimplemented("the gradient of SparseToDense needs indices of known rank");
  }
  const Endpoint rows =
      indices.rank() == 2 ? g.input(0) : b.reshape(g.input(0), b.integers({-1, 1}));
  const Endpoint values = b.op("GatherNd", {g.dy(), rows});
  const auto sum = [&](Endpoint x) {
    return b.op("Sum", {b.reshape(x, b.integers({-1})), b.integers({0})}, {{"keep_dims", false}});
  };
  const PartialShape given = g.input_shape(2);
  g.set_dx(2, given.has_rank() && given.rank() == 0 ? sum(values) : values);
  g.set_dx(3, b.sub(sum(g.dy()), sum(values)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(SparseToDense) = {
    .inputs =
        "sparse_indices: Tindices, output_shape: Tindices, sparse_values: T, default_value: T",
    .outputs = "dense: T",
    .attrs = "validate_indices: bool = true; T: type; Tindices: {int32, int64}",
    .host_inputs = {1},
    .shape = sparse_to_dense_shape,
    .gradient = sparse_to_dense_gradient,
    .kernels = {make_sparse_to_dense},
};

}  // namespace tenon
