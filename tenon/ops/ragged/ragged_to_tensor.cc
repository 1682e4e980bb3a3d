// RaggedTensorToTensor: ragged rows padded to one width.
#include <cstring>

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

constexpr int kFirstPartition = 3;

enum class Partition : uint8_t { kFirstDimSize, kValueRowids, kRowSplits };

StatusOr<std::vector<Partition>> partitions_of(const AttrMap& attrs, int inputs) {
  std::vector<Partition> partitions;
  for (const std::string& name : attrs.get<std::vector<std::string>>("row_partition_types")) {
    if (name == "FIRST_DIM_SIZE") {
      partitions.push_back(Partition::kFirstDimSize);
    } else if (name == "VALUE_ROWIDS") {
      partitions.push_back(Partition::kValueRowids);
    } else if (name == "ROW_SPLITS") {
      partitions.push_back(Partition::kRowSplits);
    } else {
      return invalid_argument("Unknown row partition type '", name, "'");
    }
  }
  if (partitions.empty() || static_cast<int>(partitions.size()) != inputs - kFirstPartition) {
    return invalid_argument("there are ", partitions.size(), " row partition types for ",
                            inputs - kFirstPartition, " tensors");
  }
  const bool sized = partitions[0] == Partition::kFirstDimSize;
  for (size_t i = 0; i < partitions.size(); ++i) {
    const bool first = partitions[i] == Partition::kFirstDimSize;
    if (first != (i == 0 && sized) || (i == 0 && partitions[0] == Partition::kValueRowids)) {
      return invalid_argument(
          "row partitions must begin with FIRST_DIM_SIZE or ROW_SPLITS and "
          "have the first one only there");
    }
  }
  return partitions;
}

// Dimensions that rows and their partitions make.
int ragged_dims(const std::vector<Partition>& partitions) {
  return static_cast<int>(partitions.size()) + (partitions[0] == Partition::kFirstDimSize ? 0 : 1);
}

// Puts the sizes that are asked for, -1 where none is, into `dims`.
Status ask_for_sizes(std::span<const int64_t> sizes, std::vector<int64_t>& dims) {
  if (sizes.size() != dims.size()) {
    return invalid_argument("shape has ", sizes.size(), " dimensions, the ragged tensor has ",
                            dims.size());
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < -1) return invalid_argument("shape must not have a dimension of ", sizes[i]);
    if (sizes[i] < 0) continue;
    if (dims[i] >= 0 && dims[i] != sizes[i]) {
      return invalid_argument("shape and the values' shape are incompatible: ", sizes[i], " and ",
                              dims[i]);
    }
    dims[i] = sizes[i];
  }
  return absl::OkStatus();
}

Status ragged_to_tensor_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const auto partitions, partitions_of(c.attrs(), c.num_inputs()));
  const PartialShape& values = c.input(1);
  const PartialShape& fallback = c.input(2);
  const PartialShape& asked = c.input(0);
  if (asked.has_rank() && asked.rank() > 1) {
    return invalid_argument("shape must be a scalar or a vector, it has shape ", asked);
  }
  if (!values.has_rank()) return unknown_shape(c);
  if (values.rank() < 1) return invalid_argument("values must have a rank of 1 at least");
  if (fallback.has_rank()) {
    bool fits = fallback.rank() < values.rank();
    for (int axis = 1; fits && axis <= fallback.rank(); ++axis) {
      const int64_t own = fallback[fallback.rank() - axis], inner = values[values.rank() - axis];
      fits = own < 0 || inner < 0 || own == 1 || own == inner;
    }
    if (!fits) {
      return invalid_argument("default_value.shape=", fallback,
                              " and rt_input.flat_values.shape=", values, " are incompatible");
    }
  }
  const int ragged = ragged_dims(partitions);
  std::vector<int64_t> dims(static_cast<size_t>(ragged), -1);
  dims.insert(dims.end(), values.dims().begin() + 1, values.dims().end());
  if (asked.has_rank() && asked.rank() == 1 && c.constant(0)) {
    TENON_RETURN_IF_ERROR(ask_for_sizes(integers_of(*c.constant(0)), dims));
  }
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

// The rows of one partition: row_of[i] of each value, in rising order, and how many rows there are.
struct RowIds {
  std::vector<int64_t> row_of;
  int64_t rows = 0;
};

StatusOr<RowIds> read_splits(const std::vector<int64_t>& splits) {
  RowIds ids;
  if (splits.empty() || splits[0] != 0) {
    return invalid_argument("the first row split must be 0");
  }
  ids.rows = static_cast<int64_t>(splits.size()) - 1;
  for (size_t i = 1; i < splits.size(); ++i) {
    if (splits[i] < splits[i - 1] || splits[i] > splits.back()) {
      return invalid_argument("row splits must not fall");
    }
    ids.row_of.resize(static_cast<size_t>(splits[i]), static_cast<int64_t>(i) - 1);
  }
  return ids;
}

// Where each value goes: a place in the output counted in values, -1 for those cut off.
struct Placement {
  Shape shape;  // of the ragged dimensions
  std::vector<int64_t> places;
};

StatusOr<Placement> place_values(const KernelRun& r, const std::vector<Partition>& partitions,
                                 const std::vector<int64_t>& asked) {
  std::vector<RowIds> levels;
  int64_t rows = -1;
  const int64_t values = r.input(1).dim(0);
  for (size_t i = 0; i < partitions.size(); ++i) {
    const Tensor& tensor = r.input(kFirstPartition + static_cast<int>(i));
    if (partitions[i] == Partition::kFirstDimSize) {
      if (tensor.num_elements() != 1) return invalid_argument("FIRST_DIM_SIZE must be a scalar");
      rows = integer_at(tensor, 0);
      continue;
    }
    if (partitions[i] == Partition::kRowSplits) {
      // Checked before memory is taken for that many values.
      constexpr int64_t kMostRows = int64_t{1} << 28;
      const int64_t splits = tensor.num_elements();
      const int64_t last = splits > 0 ? integer_at(tensor, splits - 1) : 0;
      int64_t most = values;
      if (i + 1 < partitions.size()) {
        most = partitions[i + 1] == Partition::kRowSplits
                   ? r.input(kFirstPartition + static_cast<int>(i) + 1).num_elements() - 1
                   : kMostRows;
      }
      if (last > most) {
        return invalid_argument("the last row split is ", last, ", there are ", most, " values");
      }
      TENON_ASSIGN_OR_RETURN(levels.emplace_back(), read_splits(integers_of(tensor)));
    } else {
      RowIds& ids = levels.emplace_back();
      ids.row_of = integers_of(tensor);
      ids.rows =
          levels.size() == 1 ? rows : static_cast<int64_t>(levels[levels.size() - 2].row_of.size());
    }
    if (rows < 0) rows = levels[0].rows;
  }
  // Each level's rows are the values of the one above.
  for (size_t i = 0; i < levels.size(); ++i) {
    const auto below = i + 1 < levels.size() ? levels[i + 1].rows : values;
    if (static_cast<int64_t>(levels[i].row_of.size()) != below ||
        (i == 0 && levels[0].rows > rows)) {
      return invalid_argument("row partition ", i, " is of ", levels[i].row_of.size(),
                              " values, there are ", below);
    }
  }
  Placement placement;
  placement.shape.append(!asked.empty() && asked[0] >= 0 ? asked[0] : rows);
  std::vector<std::vector<int64_t>> columns;
  for (size_t i = 0; i < levels.size(); ++i) {
    int64_t width = 0, column = 0, before = -1;
    std::vector<int64_t>& own = columns.emplace_back();
    for (int64_t row : levels[i].row_of) {
      if (row < before || row < 0 || row >= levels[i].rows) {
        return invalid_argument("row ids of partition ", i, " must rise and be below ",
                                levels[i].rows, ", found ", row);
      }
      column = row == before ? column + 1 : 0;
      before = row;
      own.push_back(column);
      width = std::max(width, column + 1);
    }
    placement.shape.append(asked.size() > i + 1 && asked[i + 1] >= 0 ? asked[i + 1] : width);
  }
  TENON_RETURN_IF_ERROR(Shape::make(placement.shape.dims(), 16).status());
  std::vector<int64_t>& places = placement.places;
  for (int64_t row = 0; row < rows && levels.empty(); ++row) places.push_back(row);
  std::vector<int64_t> above(static_cast<size_t>(levels.empty() ? 0 : levels[0].rows));
  for (size_t row = 0; row < above.size(); ++row) {
    above[row] = static_cast<int64_t>(row) < placement.shape[0] ? static_cast<int64_t>(row) : -1;
  }
  for (size_t i = 0; i < levels.size(); ++i) {
    const int64_t width = placement.shape[static_cast<int>(i) + 1];
    std::vector<int64_t> here(levels[i].row_of.size());
    for (size_t j = 0; j < here.size(); ++j) {
      const int64_t parent = above[static_cast<size_t>(levels[i].row_of[j])];
      here[j] = parent < 0 || columns[i][j] >= width ? -1 : parent * width + columns[i][j];
    }
    above = std::move(here);
  }
  if (!levels.empty()) places = std::move(above);
  return placement;
}

StatusOr<Kernel> make_ragged_to_tensor(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const auto partitions, partitions_of(p.attrs(), p.num_inputs()));
  return Kernel([partitions](KernelRun& r) -> Status {
    const bool any = r.input(0).rank() == 0;
    const std::vector<int64_t> asked = any ? std::vector<int64_t>() : integers_of(r.input(0));
    const Shape& values = r.input(1).shape();
    if (!any) {
      std::vector<int64_t> dims(static_cast<size_t>(ragged_dims(partitions)), -1);
      dims.insert(dims.end(), values.dims().begin() + 1, values.dims().end());
      TENON_RETURN_IF_ERROR(ask_for_sizes(asked, dims));
    }
    TENON_ASSIGN_OR_RETURN(const Placement placement, place_values(r, partitions, asked));
    Shape shape = placement.shape;
    Shape inner;
    for (int axis = 1; axis < values.rank(); ++axis) inner.append(values[axis]);
    for (int64_t dim : inner.dims()) shape.append(dim);
    const size_t element = size_of(r.output(0).dtype());
    TENON_RETURN_IF_ERROR(Shape::make(shape.dims(), element).status());
    TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    // The default, broadcast over a value, everywhere; then what there is.
    kernels::StridedCopy copy;
    copy.dims = Dims(shape.dims());
    copy.target_strides = kernels::contiguous_strides(shape.dims());
    copy.source_strides = Dims(copy.dims.size(), 0);
    const Shape& fallback = r.input(2).shape();
    const Dims own = kernels::contiguous_strides(fallback.dims());
    for (size_t i = 0; i < own.size(); ++i) {
      if (fallback[static_cast<int>(i)] != 1) {
        copy.source_strides[copy.dims.size() - own.size() + i] = own[i];
      }
    }
    kernels::run(kernels::simplify(copy), element, r.input(2).raw(), r.output(0).mutable_raw());
    const size_t bytes = static_cast<size_t>(inner.num_elements()) * element;
    for (size_t i = 0; i < placement.places.size(); ++i) {
      const int64_t place = placement.places[i];
      if (place < 0) continue;
      std::memcpy(r.out<char>(0) + static_cast<size_t>(place) * bytes, r.in<char>(1) + i * bytes,
                  bytes);
    }
    own_elements(r, 0, 1, 2);
    return absl::OkStatus();
  });
}

// Numbers of the values, padded in the same way, say where each element of dy came from.
Status ragged_to_tensor_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  TENON_ASSIGN_OR_RETURN(const auto partitions, partitions_of(g.forward().attrs, g.num_inputs()));
  const PartialShape values = g.input_shape(1);
  if (!values.has_rank() || !g.input_shape(0).has_rank()) {
    return unimplemented("the gradient of RaggedTensorToTensor needs a known rank");
  }
  const int ragged = ragged_dims(partitions);
  const Endpoint count = b.dim(g.input(1), 0);
  const Endpoint numbers = b.op("Range", {b.scalar<int32_t>(0), count, b.scalar<int32_t>(1)});
  const Endpoint shape = g.input_shape(0).rank() == 0 ? g.input(0) : b.slice(g.input(0), 0, ragged);
  std::vector<Endpoint> inputs{shape, numbers, b.scalar<int32_t>(-1)};
  for (int i = kFirstPartition; i < g.num_inputs(); ++i) inputs.push_back(g.input(i));
  AttrMap attrs = g.forward().attrs;
  attrs.set("T", DType::kInt32);
  const Endpoint from =
      b.reshape(b.op("RaggedTensorToTensor", inputs, std::move(attrs)), b.integers({-1}));
  const Endpoint value = b.slice(b.shape_of(g.input(1)), 1, values.rank());
  const Endpoint rows = b.reshape(g.dy(), b.concat({b.shape_of(from), value}, 0));
  g.set_dx(1, b.op("UnsortedSegmentSum", {rows, from, count}));
  // Padding is segment 0 of two when the others are dropped.
  const Endpoint padding =
      b.neg(b.cast(b.op("GreaterEqual", {from, b.scalar<int32_t>(0)}), DType::kInt32));
  const Endpoint sum = b.op("UnsortedSegmentSum", {rows, padding, b.scalar<int32_t>(1)});
  g.set_dx_broadcast(2, b.reshape(sum, value));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(RaggedTensorToTensor) = {
    .inputs =
        "shape: Tshape, values: T, default_value: T, "
        "row_partition_tensors: num_row_partition_tensors * Tindex",
    .outputs = "result: T",
    .attrs =
        "T: type; Tindex: {int64, int32}; Tshape: {int64, int32}; "
        "num_row_partition_tensors: int >= 1; row_partition_types: list(string)",
    .supplies_outputs = true,
    .shape = ragged_to_tensor_shape,
    .gradient = ragged_to_tensor_gradient,
    .kernels = {make_ragged_to_tensor},
};

}  // namespace tenon
