// Operators that move elements: shapes, slices, concatenation, padding.
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

std::vector<int64_t> to_int64(const flatbuffers::Vector<int32_t>* values) {
  return values ? std::vector<int64_t>(values->begin(), values->end()) : std::vector<int64_t>();
}

// The wanted shape is a tensor, or, in older files, an option.
void reshape(OperatorContext& c) {
  if (c.has_input(1)) return c.set(0, c.b.reshape(c.in(0), c.in(1)));
  std::vector<int64_t> dims = to_int64(c.options<schema::ReshapeOptions>().new_shape());
  if (dims.size() == 1 && dims[0] == 0) dims.clear();  // how older converters wrote a scalar
  c.set(0, c.b.reshape(c.in(0), dims));
}

void squeeze(OperatorContext& c) {
  c.set(0,
        c.b.op("Squeeze", {c.in(0)},
               {{"squeeze_dims", to_int64(c.options<schema::SqueezeOptions>().squeeze_dims())}}));
}

void expand_dims(OperatorContext& c) {
  Endpoint axis = c.in(1);
  if (c.in_shape(1).has_rank() && c.in_shape(1).rank() > 0) {
    axis = c.b.reshape(axis, std::span<const int64_t>());
  }
  c.set(0, c.b.op("ExpandDims", {c.in(0), axis}));
}

void transpose(OperatorContext& c) { c.set(0, c.b.op("Transpose", {c.in(0), c.in(1)})); }

void concatenation(OperatorContext& c) {
  const auto& o = c.options<schema::ConcatenationOptions>();
  std::vector<Endpoint> inputs = c.all_inputs();
  if (inputs.size() == 1) return c.set_activated(inputs[0], o.fused_activation_function());
  c.set_activated(c.b.concat(std::move(inputs), o.axis()), o.fused_activation_function());
}

void pack(OperatorContext& c) {
  c.set(0, c.b.op("Pack", c.all_inputs(),
                  {{"axis", int64_t{c.options<schema::PackOptions>().axis()}}}));
}

void unpack(OperatorContext& c) {
  const auto& o = c.options<schema::UnpackOptions>();
  c.set_all(c.b.ops("Unpack", {c.in(0)}, {{"num", int64_t{o.num()}}, {"axis", int64_t{o.axis()}}}));
}

void split(OperatorContext& c) {
  const int64_t count = c.options<schema::SplitOptions>().num_splits();
  const Endpoint axis = c.b.reshape(c.in(0), std::span<const int64_t>());
  c.set_all(c.b.ops("Split", {axis, c.in(1)}, {{"num_split", count}}));
}

void split_v(OperatorContext& c) {
  const int64_t count = c.options<schema::SplitVOptions>().num_splits();
  const Endpoint axis = c.b.reshape(c.in(2), std::span<const int64_t>());
  c.set_all(c.b.ops("SplitV", {c.in(0), c.in(1), axis}, {{"num_split", count}}));
}

void slice(OperatorContext& c) { c.set(0, c.b.op("Slice", {c.in(0), c.in(1), c.in(2)})); }

void strided_slice(OperatorContext& c) {
  const auto& o = c.options<schema::StridedSliceOptions>();
  // Where `offset` is set, the end counts from the begin.
  const Endpoint end = o.offset() ? c.b.add(c.in(1), c.in(2)) : c.in(2);
  c.set(0, c.b.op("StridedSlice", {c.in(0), c.in(1), end, c.in(3)},
                  {{"begin_mask", int64_t{o.begin_mask()}},
                   {"end_mask", int64_t{o.end_mask()}},
                   {"ellipsis_mask", int64_t{o.ellipsis_mask()}},
                   {"new_axis_mask", int64_t{o.new_axis_mask()}},
                   {"shrink_axis_mask", int64_t{o.shrink_axis_mask()}}}));
}

void pad(OperatorContext& c) { c.set(0, c.b.op("Pad", {c.in(0), c.in(1)})); }

void pad_v2(OperatorContext& c) {
  const Endpoint value = c.b.reshape(c.in(2), std::span<const int64_t>());
  c.set(0, c.b.op("PadV2", {c.in(0), c.in(1), value}));
}

void mirror_pad(OperatorContext& c) {
  const bool symmetric = c.options<schema::MirrorPadOptions>().mode() == 1;
  c.set(0, c.b.op("MirrorPad", {c.in(0), c.in(1)},
                  {{"mode", std::string(symmetric ? "SYMMETRIC" : "REFLECT")}}));
}

void tile(OperatorContext& c) { c.set(0, c.b.op("Tile", {c.in(0), c.in(1)})); }

void broadcast_to(OperatorContext& c) { c.set(0, c.b.op("BroadcastTo", {c.in(0), c.in(1)})); }

void broadcast_args(OperatorContext& c) { c.set(0, c.b.op("BroadcastArgs", {c.in(0), c.in(1)})); }

void fill(OperatorContext& c) {
  const Endpoint value = c.b.reshape(c.in(1), std::span<const int64_t>());
  c.set(0, c.b.op("Fill", {c.in(0), value}));
}

void shape_of(OperatorContext& c) {
  c.set(0, c.b.op("Shape", {c.in(0)}, {{"out_type", c.out_dtype(0)}}));
}

void rank_of(OperatorContext& c) { c.set(0, c.b.op("Rank", {c.in(0)})); }

void range(OperatorContext& c) {
  std::vector<Endpoint> scalars;
  for (int i = 0; i < 3; ++i) scalars.push_back(c.b.reshape(c.in(i), std::span<const int64_t>()));
  c.set(0, c.b.op("Range", scalars));
}

void reverse(OperatorContext& c) { c.set(0, c.b.op("ReverseV2", {c.in(0), c.in(1)})); }

void reverse_sequence(OperatorContext& c) {
  const auto& o = c.options<schema::ReverseSequenceOptions>();
  c.set(0, c.b.op("ReverseSequence", {c.in(0), c.in(1)},
                  {{"seq_dim", int64_t{o.seq_dim()}}, {"batch_dim", int64_t{o.batch_dim()}}}));
}

void space_to_batch(OperatorContext& c) {
  c.set(0, c.b.op("SpaceToBatchND", {c.in(0), c.in(1), c.in(2)}));
}

void batch_to_space(OperatorContext& c) {
  c.set(0, c.b.op("BatchToSpaceND", {c.in(0), c.in(1), c.in(2)}));
}

void space_to_depth(OperatorContext& c) {
  c.set(0,
        c.b.op("SpaceToDepth", {c.in(0)},
               {{"block_size", int64_t{c.options<schema::SpaceToDepthOptions>().block_size()}}}));
}

void depth_to_space(OperatorContext& c) {
  c.set(0,
        c.b.op("DepthToSpace", {c.in(0)},
               {{"block_size", int64_t{c.options<schema::DepthToSpaceOptions>().block_size()}}}));
}

void matrix_diag(OperatorContext& c) { c.set(0, c.b.op("MatrixDiag", {c.in(0)})); }

void matrix_set_diag(OperatorContext& c) { c.set(0, c.b.op("MatrixSetDiag", {c.in(0), c.in(1)})); }

// Zeros put between elements: each axis grows to (size - 1) * factor + 1, filled with the third
// input.
void dilate(OperatorContext& c) {
  const Tensor* factors = c.constant(1);
  const PartialShape shape = c.in_shape(0);
  if (!factors || !shape.has_rank() || factors->num_elements() != shape.rank()) {
    return c.fail(unimplemented("factors that are not constant, or a shape of unknown rank"));
  }
  Endpoint value = c.in(0);
  const Endpoint filler = c.b.reshape(c.in(2), std::span<const int64_t>());
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const int64_t factor = integer_at(*factors, axis);
    if (factor == 1) continue;
    if (factor < 1 || factor > 1'000'000) {
      return c.fail(invalid_argument("the factor ", factor, " of axis ", axis));
    }
    // [.., n, ..] -> [.., n, 1, ..], padded to [.., n, factor, ..] -> [.., n * factor, ..], cut.
    const Endpoint spread = c.b.op("ExpandDims", {value, c.b.scalar<int32_t>(axis + 1)});
    std::vector<int32_t> paddings(static_cast<size_t>(2 * (shape.rank() + 1)), 0);
    paddings[static_cast<size_t>(2 * (axis + 1) + 1)] = static_cast<int32_t>(factor - 1);
    const Endpoint padded = c.b.op(
        "PadV2", {spread, c.b.constant(Tensor::from<int32_t>(Shape{shape.rank() + 1, 2}, paddings)),
                  filler});
    std::vector<int32_t> scale(static_cast<size_t>(shape.rank()), 1);
    scale[static_cast<size_t>(axis)] = static_cast<int32_t>(factor);
    const Endpoint grown =
        c.b.mul(c.b.shape_of(value), c.b.constant(Tensor::vector<int32_t>(scale)));
    std::vector<int32_t> cut(static_cast<size_t>(shape.rank()), 0);
    cut[static_cast<size_t>(axis)] = static_cast<int32_t>(factor - 1);
    const Endpoint size = c.b.sub(grown, c.b.constant(Tensor::vector<int32_t>(cut)));
    const std::vector<int64_t> begin(static_cast<size_t>(shape.rank()), 0);
    value = c.b.op("Slice", {c.b.reshape(padded, grown), c.b.integers(begin), size});
  }
  c.set(0, value);
}

}  // namespace

TENON_LITE_OPERATOR(BATCH_TO_SPACE_ND, batch_to_space)
TENON_LITE_OPERATOR(BROADCAST_ARGS, broadcast_args)
TENON_LITE_OPERATOR(BROADCAST_TO, broadcast_to)
TENON_LITE_OPERATOR(CONCATENATION, concatenation)
TENON_LITE_OPERATOR(DEPTH_TO_SPACE, depth_to_space)
TENON_LITE_OPERATOR(DILATE, dilate)
TENON_LITE_OPERATOR(EXPAND_DIMS, expand_dims)
TENON_LITE_OPERATOR(FILL, fill)
TENON_LITE_OPERATOR(MATRIX_DIAG, matrix_diag)
TENON_LITE_OPERATOR(MATRIX_SET_DIAG, matrix_set_diag)
TENON_LITE_OPERATOR(MIRROR_PAD, mirror_pad)
TENON_LITE_OPERATOR(PACK, pack)
TENON_LITE_OPERATOR(PAD, pad)
TENON_LITE_OPERATOR(PADV2, pad_v2)
TENON_LITE_OPERATOR(RANGE, range)
TENON_LITE_OPERATOR(RANK, rank_of)
TENON_LITE_OPERATOR(RESHAPE, reshape)
TENON_LITE_OPERATOR(REVERSE_SEQUENCE, reverse_sequence)
TENON_LITE_OPERATOR(REVERSE_V2, reverse)
TENON_LITE_OPERATOR(SHAPE, shape_of)
TENON_LITE_OPERATOR(SLICE, slice)
TENON_LITE_OPERATOR(SPACE_TO_BATCH_ND, space_to_batch)
TENON_LITE_OPERATOR(SPACE_TO_DEPTH, space_to_depth)
TENON_LITE_OPERATOR(SPLIT, split)
TENON_LITE_OPERATOR(SPLIT_V, split_v)
TENON_LITE_OPERATOR(SQUEEZE, squeeze)
TENON_LITE_OPERATOR(STRIDED_SLICE, strided_slice)
TENON_LITE_OPERATOR(TILE, tile)
TENON_LITE_OPERATOR(TRANSPOSE, transpose)
TENON_LITE_OPERATOR(UNPACK, unpack)

}  // namespace tenon::lite
