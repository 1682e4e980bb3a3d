// DynamicStitch, ParallelDynamicStitch and DynamicPartition, each the others' gradient.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

// Inputs: `count` of indices, then `count` of data. What stands behind the indices' axes is one
// slice, the same for all.
Status stitch_shape(ShapeContext& c) {
  const int count = c.num_inputs() / 2;
  PartialShape slice;
  int64_t rows = 0;  // -1 while indices are unknown
  for (int i = 0; i < count; ++i) {
    const PartialShape& indices = c.input(i);
    const PartialShape& data = c.input(count + i);
    const Tensor* known = c.constant(i);
    if (!known) rows = -1;
    for (int64_t j = 0; known && rows >= 0 && j < known->num_elements(); ++j) {
      rows = std::max(rows, integer_at(*known, j) + 1);
    }
    if (!indices.has_rank() || !data.has_rank()) continue;
    bool fits = indices.rank() <= data.rank();
    for (int axis = 0; fits && axis < indices.rank(); ++axis) {
      fits = indices[axis] < 0 || data[axis] < 0 || indices[axis] == data[axis];
    }
    if (!fits) {
      return invalid_argument("data[", i, "].shape = ", data, " does not start with indices[", i,
                              "].shape = ", indices);
    }
    std::vector<int64_t> rest(data.dims().begin() + indices.rank(), data.dims().end());
    const auto merged = PartialShape::merge(slice, PartialShape(std::span<const int64_t>(rest)));
    if (!merged.ok()) {
      return invalid_argument("Need data[0].shape[", c.input(0).has_rank() ? c.input(0).rank() : 0,
                              ":] = data[", i, "].shape[", indices.rank(), ":], got ", slice,
                              " and ", PartialShape(std::span<const int64_t>(rest)));
    }
    slice = *merged;
  }
  if (!slice.has_rank()) return unknown_shape(c);
  std::vector<int64_t> dims{rows};
  dims.insert(dims.end(), slice.dims().begin(), slice.dims().end());
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

StatusOr<Kernel> make_stitch(Prepare& p) {
  const int count = p.num_inputs() / 2;
  const Shape& first = p.input_shape(count);
  Shape slice(first.dims().subspan(static_cast<size_t>(p.input_shape(0).rank())));
  const size_t bytes = static_cast<size_t>(slice.num_elements()) * size_of(p.output_dtype(0));
  return Kernel([count, slice, bytes](KernelRun& r) -> Status {
    int64_t rows = 0;
    for (int i = 0; i < count; ++i) {
      for (int32_t index : r.input(i).span<int32_t>()) {
        if (index < 0) {
          return invalid_argument("indices[", i, "] holds ", index, ", it must not be negative");
        }
        rows = std::max<int64_t>(rows, int64_t{index} + 1);
      }
    }
    Shape shape{rows};
    for (int64_t dim : slice.dims()) shape.append(dim);
    TENON_RETURN_IF_ERROR(Shape::make(shape.dims(), size_of(r.output(0).dtype())).status());
    TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
    if (bytes == 0 || rows == 0) return absl::OkStatus();
    char* y = r.out<char>(0);
    // Rows that no index names.
    if (!is_object(r.output(0).dtype())) std::memset(y, 0, static_cast<size_t>(rows) * bytes);
    for (int i = 0; i < count; ++i) {
      const char* from = r.in<char>(count + i);
      for (int32_t index : r.input(i).span<int32_t>()) {
        std::memcpy(y + static_cast<size_t>(index) * bytes, from, bytes);
        from += bytes;
      }
    }
    own_elements(r, 0, count, count);
    return absl::OkStatus();
  });
}

Status stitch_gradient(Gradient& g) {
  const int count = g.num_inputs() / 2;
  GraphBuilder& b = g.build();
  for (int i = 0; i < count; ++i) {
    g.set_dx(count + i, b.op("GatherV2", {g.dy(), g.input(i), b.scalar<int32_t>(0)}));
  }
  return absl::OkStatus();
}

Status partition_shape(ShapeContext& c) {
  const PartialShape& data = c.input(0);
  const PartialShape& partitions = c.input(1);
  if (!data.has_rank() || !partitions.has_rank()) return unknown_shape(c);
  bool fits = partitions.rank() <= data.rank();
  for (int axis = 0; fits && axis < partitions.rank(); ++axis) {
    fits = partitions[axis] < 0 || data[axis] < 0 || partitions[axis] == data[axis];
  }
  if (!fits) {
    return invalid_argument("data.shape must start with partitions.shape, got data.shape = ", data,
                            ", partitions.shape = ", partitions);
  }
  std::vector<int64_t> dims{-1};
  dims.insert(dims.end(), data.dims().begin() + partitions.rank(), data.dims().end());
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.set_output(i, PartialShape(std::span<const int64_t>(dims)));
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_partition(Prepare& p) {
  const int rank = p.input_shape(1).rank();
  const Shape slice(p.input_shape(0).dims().subspan(static_cast<size_t>(rank)));
  const size_t bytes = static_cast<size_t>(slice.num_elements()) * size_of(p.input_dtype(0));
  return Kernel([slice, bytes, parts = p.num_outputs()](KernelRun& r) -> Status {
    std::vector<int64_t> sizes(static_cast<size_t>(parts), 0);
    const auto partitions = r.input(1).span<int32_t>();
    for (size_t i = 0; i < partitions.size(); ++i) {
      if (partitions[i] < 0 || partitions[i] >= parts) {
        return invalid_argument("partitions[", i, "] = ", partitions[i], " is not in [0, ", parts,
                                ")");
      }
      ++sizes[static_cast<size_t>(partitions[i])];
    }
    std::vector<char*> to;
    for (int i = 0; i < parts; ++i) {
      Shape shape{sizes[static_cast<size_t>(i)]};
      for (int64_t dim : slice.dims()) shape.append(dim);
      TENON_RETURN_IF_ERROR(r.allocate_output(i, shape));
      to.push_back(r.out<char>(i));
    }
    if (bytes == 0) return absl::OkStatus();
    const char* from = r.in<char>(0);
    for (int32_t part : partitions) {
      char*& place = to[static_cast<size_t>(part)];
      std::memcpy(place, from, bytes);
      place += bytes;
      from += bytes;
    }
    for (int i = 0; i < parts; ++i) own_elements(r, i, 0);
    return absl::OkStatus();
  });
}

// data_flow_grad.py, _DynamicPartitionGrads: numbers of the rows go the same way as the rows.
Status partition_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint partitions = g.input(1);
  const Endpoint count = b.op("Size", {partitions});
  const Endpoint numbers = b.reshape(
      b.op("Range", {b.scalar<int32_t>(0), count, b.scalar<int32_t>(1)}), b.shape_of(partitions));
  const auto parts = g.attr<int64_t>("num_partitions");
  std::vector<Endpoint> pieces =
      b.ops("DynamicPartition", {numbers, partitions}, {{"num_partitions", parts}});
  for (int i = 0; i < g.num_outputs(); ++i) pieces.push_back(g.dy(i));
  g.set_dx(
      0, b.reshape(b.op("ParallelDynamicStitch", pieces, {{"N", parts}}), b.shape_of(g.input(0))));
  return absl::OkStatus();
}

constexpr OpDecl stitching() {
  return {
      .inputs = "indices: N * int32, data: N * T",
      .outputs = "merged: T",
      .attrs = "N: int >= 1; T: type",
      .supplies_outputs = true,
      .shape = stitch_shape,
      .gradient = stitch_gradient,
      .kernels = {make_stitch},
  };
}

}  // namespace

TENON_OP(DynamicStitch) = stitching();
TENON_OP(ParallelDynamicStitch) = stitching();

TENON_OP(DynamicPartition) = {
    .inputs = "data: T, partitions: int32",
    .outputs = "outputs: num_partitions * T",
    .attrs = "num_partitions: int >= 1; T: type",
    .supplies_outputs = true,
    .shape = partition_shape,
    .gradient = partition_gradient,
    .kernels = {make_partition},
};

}  // namespace tenon
