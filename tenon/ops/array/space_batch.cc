// SpaceToBatchND, BatchToSpaceND and their first versions: blocks of spatial dimensions to and from
// the batch dimension.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

// Block sizes, and what is added around (SpaceToBatch) or cropped from (BatchToSpace) the space.
struct Blocks {
  std::vector<int64_t> sizes, before, after;
  int64_t count() const {
    int64_t product = 1;
    for (int64_t size : sizes) product *= size;
    return product;
  }
  int rank() const { return static_cast<int>(sizes.size()); }
};

// `edges`: paddings or crops.
StatusOr<Blocks> read_blocks(std::vector<int64_t> sizes, const Tensor& edges,
                             std::string_view what) {
  Blocks blocks;
  blocks.sizes = std::move(sizes);
  if (edges.shape() != Shape{blocks.rank(), 2}) {
    return invalid_argument(what, " should have shape [", blocks.rank(), ", 2], not ",
                            edges.shape());
  }
  int64_t count = 1;
  for (int i = 0; i < blocks.rank(); ++i) {
    const int64_t size = blocks.sizes[static_cast<size_t>(i)];
    if (size < 1) return invalid_argument("All values in block_shape must be positive, got ", size);
    if (__builtin_mul_overflow(count, size, &count)) {
      return invalid_argument("the product of block_shape is too large");
    }
    blocks.before.push_back(integer_at(edges, 2 * i));
    blocks.after.push_back(integer_at(edges, 2 * i + 1));
    if (blocks.before.back() < 0 || blocks.after.back() < 0) {
      return invalid_argument("All ", what, " must be non-negative");
    }
  }
  return blocks;
}

// The ops of the first version have two spatial dimensions and a block size as attribute.
bool is_first_version(const OpDef& op) { return op.find_attr("block_size") != nullptr; }

template <class Context>
StatusOr<Blocks> blocks_of(const Context& c, std::string_view what) {
  if (is_first_version(c.op())) {
    const auto size = c.template attr<int64_t>("block_size");
    return read_blocks({size, size}, *c.constant(1), what);
  }
  if (c.constant(1)->rank() != 1) {
    return invalid_argument("block_shape must be 1-D, its shape is ", c.constant(1)->shape());
  }
  return read_blocks(integers_of(*c.constant(1)), *c.constant(2), what);
}

bool knows_blocks(const ShapeContext& c) {
  return c.constant(1) && (is_first_version(c.op()) || c.constant(2));
}

// The rank is the input's, dimensions behind the spatial ones too.
PartialShape unknown_like(const PartialShape& x) {
  return x.has_rank() ? PartialShape::unknown_of_rank(x.rank()) : PartialShape();
}

Status space_to_batch_shape(ShapeContext& c) {
  PartialShape y = c.input(0);
  if (!y.has_rank() || !knows_blocks(c)) {
    c.set_output(0, unknown_like(y));
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const Blocks blocks, blocks_of(c, "paddings"));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, blocks.rank() + 1));
  if (y[0] >= 0) y.set(0, y[0] * blocks.count());
  for (int i = 0; i < blocks.rank(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (y[i + 1] < 0) continue;
    const int64_t padded = y[i + 1] + blocks.before[at] + blocks.after[at];
    if (padded % blocks.sizes[at] != 0) {
      return invalid_argument("padded_shape[", i, "]=", padded, " is not divisible by block_shape[",
                              i, "]=", blocks.sizes[at]);
    }
    y.set(i + 1, padded / blocks.sizes[at]);
  }
  if (y.is_fully_known()) {
    TENON_RETURN_IF_ERROR(Shape::make(y.dims(), size_of(c.input_dtype(0))).status());
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

Status batch_to_space_shape(ShapeContext& c) {
  PartialShape y = c.input(0);
  if (!y.has_rank() || !knows_blocks(c)) {
    c.set_output(0, unknown_like(y));
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const Blocks blocks, blocks_of(c, "crops"));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, blocks.rank() + 1));
  if (y[0] >= 0) {
    if (y[0] % blocks.count() != 0) {
      return invalid_argument("Input batch dimension (", y[0],
                              ") is not divisible by product of block sizes (", blocks.count(),
                              ")");
    }
    y.set(0, y[0] / blocks.count());
  }
  for (int i = 0; i < blocks.rank(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (y[i + 1] < 0) continue;
    int64_t size = 0;
    if (__builtin_mul_overflow(y[i + 1], blocks.sizes[at], &size)) {
      return invalid_argument("dimension ", i + 1, " becomes too large");
    }
    size -= blocks.before[at] + blocks.after[at];
    if (size < 0) {
      return invalid_argument("cropped_shape[", i, "]=", size, " must be non-negative");
    }
    y.set(i + 1, size);
  }
  if (y.is_fully_known()) {
    TENON_RETURN_IF_ERROR(Shape::make(y.dims(), size_of(c.input_dtype(0))).status());
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// The elements at one place of the blocks: strides go with `source` the space and `target` the
// batch.
struct BlockCopy {
  kernels::StridedCopy copy;
  int64_t in_space = 0, in_batch = 0;  // element offsets
};

// Empty when no element of that place lies within the space.
std::optional<BlockCopy> copy_at(const Shape& space, const Shape& batched, const Blocks& blocks,
                                 int64_t place) {
  const Dims space_strides = kernels::contiguous_strides(space.dims());
  const Dims batch_strides = kernels::contiguous_strides(batched.dims());
  BlockCopy part;
  part.copy.dims = Dims(space.dims());
  part.copy.source_strides = space_strides;
  part.copy.target_strides = batch_strides;
  part.in_batch = place * space[0] * batch_strides[0];
  for (int i = blocks.rank() - 1; i >= 0; --i) {
    const auto at = static_cast<size_t>(i);
    const auto axis = at + 1;
    const int64_t block = blocks.sizes[at];
    const int64_t offset = place % block;
    place /= block;
    // Position j of the batched axis is j * block + offset - before of the space.
    const int64_t shift = blocks.before[at] - offset;
    const int64_t begin = shift <= 0 ? 0 : (shift + block - 1) / block;
    const int64_t last = space[i + 1] - 1 + shift;
    const int64_t end = last < 0 ? 0 : std::min(last / block + 1, batched[i + 1]);
    if (end <= begin) return std::nullopt;
    part.copy.dims[axis] = end - begin;
    part.copy.source_strides[axis] = space_strides[axis] * block;
    part.in_space += (begin * block - shift) * space_strides[axis];
    part.in_batch += begin * batch_strides[axis];
  }
  return part;
}

template <bool to_batch>
StatusOr<Kernel> make_block_move(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const Blocks blocks, blocks_of(p, "paddings"));
  const Shape output = p.output_shape(0).to_shape();
  const Shape& space = to_batch ? p.input_shape(0) : output;
  const Shape& batched = to_batch ? output : p.input_shape(0);
  std::vector<BlockCopy> parts;
  const bool empty = output.num_elements() == 0;
  for (int64_t place = 0; !empty && place < blocks.count(); ++place) {
    auto part = copy_at(space, batched, blocks, place);
    if (!part) continue;
    if (!to_batch) std::swap(part->copy.source_strides, part->copy.target_strides);
    part->copy = kernels::simplify(part->copy);
    parts.push_back(*std::move(part));
  }
  const size_t bytes = size_of(p.input_dtype(0));
  const size_t total = static_cast<size_t>(output.num_elements()) * bytes;
  const bool padded = output.num_elements() != p.input_shape(0).num_elements() && to_batch;
  return Kernel([=, parts = std::move(parts)](KernelRun& r) {
    char* y = r.out<char>(0);
    if (padded && total > 0) std::memset(y, 0, total);
    for (const BlockCopy& part : parts) {
      const auto from = static_cast<size_t>(to_batch ? part.in_space : part.in_batch);
      const auto to = static_cast<size_t>(to_batch ? part.in_batch : part.in_space);
      kernels::run(part.copy, bytes, r.in<char>(0) + from * bytes, y + to * bytes);
    }
    own_elements(r, 0, 0);
    return absl::OkStatus();
  });
}

// Each is the other's gradient, under the same blocks and edges.
template <bool to_batch>
Status block_move_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  if (is_first_version(*g.forward().op)) {
    g.set_dx(0, b.op(to_batch ? "BatchToSpace" : "SpaceToBatch", {g.dy(), g.input(1)},
                     {{"block_size", g.attr<int64_t>("block_size")}}));
  } else {
    g.set_dx(
        0, b.op(to_batch ? "BatchToSpaceND" : "SpaceToBatchND", {g.dy(), g.input(1), g.input(2)}));
  }
  return absl::OkStatus();
}

template <bool to_batch>
constexpr OpDecl block_move(ArgsText inputs, AttrsText attrs, HostInputs host) {
  return {
      .inputs = inputs,
      .outputs = "output: T",
      .attrs = attrs,
      .host_inputs = host,
      .shape = to_batch ? space_to_batch_shape : batch_to_space_shape,
      .gradient = block_move_gradient<to_batch>,
      .kernels = {make_block_move<to_batch>},
  };
}

}  // namespace

TENON_OP(SpaceToBatchND) = block_move<true>(
    "input: T, block_shape: Tblock_shape, paddings: Tpaddings",
    "T: type; Tblock_shape: {int32, int64} = int32; Tpaddings: {int32, int64} = int32", {1, 2});
TENON_OP(BatchToSpaceND) = block_move<false>(
    "input: T, block_shape: Tblock_shape, crops: Tcrops",
    "T: type; Tblock_shape: {int32, int64} = int32; Tcrops: {int32, int64} = int32", {1, 2});
TENON_OP(SpaceToBatch) =
    block_move<true>("input: T, paddings: Tpaddings",
                     "T: type; Tpaddings: {int32, int64} = int32; block_size: int >= 2", {1});
TENON_OP(BatchToSpace) = block_move<false>(
    "input: T, crops: Tidx", "T: type; block_size: int >= 2; Tidx: {int32, int64} = int32", {1});

}  // namespace tenon
