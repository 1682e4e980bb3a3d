// Ops that move elements: shapes, slices, concatenation, padding, look-ups.
#include "tenon/lite/constants.h"
#include "tenon/lite/writer/node_context.h"

namespace tenon::lite {
namespace {

// Inputs after the first are shapes, axes, sizes.
template <int builtin>
void moved_by_int32(NodeContext& c) {
  std::vector<int> inputs{c.in(0)};
  for (int i = 1; i < c.num_inputs(); ++i) inputs.push_back(c.in_int32(i));
  c.emit(builtin, std::move(inputs), {c.out()});
}

void write_identity(NodeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) c.alias(i, c.in(i));
}

void write_reshape(NodeContext& c) {
  const Tensor* shape = c.constant(1);
  schema::ReshapeOptionsT options;
  if (shape && shape->num_elements() == 0) {
    options.new_shape = {0};  // a scalar, as LiteRT reads it
    return c.emit(op::RESHAPE, {c.in(0)}, {c.out()}, options);
  }
  if (shape) {
    for (int64_t size : integers_of(*shape))
      options.new_shape.push_back(static_cast<int32_t>(size));
  }
  c.emit(op::RESHAPE, {c.in(0), c.in_int32(1)}, {c.out()}, options);
}

void write_concat(NodeContext& c) {
  const int count = c.num_inputs() - 1;
  schema::ConcatenationOptionsT options;
  options.axis = static_cast<int32_t>(c.scalar(count));
  std::vector<int> inputs;
  for (int i = 0; i < count; ++i) inputs.push_back(c.in(i));
  c.emit(op::CONCATENATION, std::move(inputs), {c.out()}, options);
}

void write_pack(NodeContext& c) {
  schema::PackOptionsT options;
  options.values_count = c.num_inputs();
  options.axis = static_cast<int32_t>(c.attr<int64_t>("axis", 0));
  c.emit(op::PACK, c.all_inputs(), {c.out()}, options);
}

void write_unpack(NodeContext& c) {
  schema::UnpackOptionsT options;
  options.num = static_cast<int32_t>(c.attr<int64_t>("num", 0));
  options.axis = static_cast<int32_t>(c.attr<int64_t>("axis", 0));
  c.emit(op::UNPACK, {c.in(0)}, c.all_outputs(), options);
}

void write_split(NodeContext& c) {
  schema::SplitOptionsT options;
  options.num_splits = static_cast<int32_t>(c.attr<int64_t>("num_split", 1));
  c.emit(op::SPLIT, {c.in_int32(0), c.in(1)}, c.all_outputs(), options);
}

void write_split_v(NodeContext& c) {
  schema::SplitVOptionsT options;
  options.num_splits = static_cast<int32_t>(c.attr<int64_t>("num_split", 1));
  c.emit(op::SPLIT_V, {c.in(0), c.in_int32(1), c.in_int32(2)}, c.all_outputs(), options);
}

void write_strided_slice(NodeContext& c) {
  schema::StridedSliceOptionsT options;
  const auto mask = [&](std::string_view name) {
    return static_cast<int32_t>(c.attr<int64_t>(name, 0));
  };
  options.begin_mask = mask("begin_mask");
  options.end_mask = mask("end_mask");
  options.ellipsis_mask = mask("ellipsis_mask");
  options.new_axis_mask = mask("new_axis_mask");
  options.shrink_axis_mask = mask("shrink_axis_mask");
  c.emit(op::STRIDED_SLICE, {c.in(0), c.in_int32(1), c.in_int32(2), c.in_int32(3)}, {c.out()},
         options);
}

void write_squeeze(NodeContext& c) {
  using Ints = std::vector<int64_t>;
  schema::SqueezeOptionsT options;
  for (int64_t axis : c.attr<Ints>("squeeze_dims", c.attr<Ints>("axis", {}))) {
    options.squeeze_dims.push_back(static_cast<int32_t>(axis));
  }
  c.emit(op::SQUEEZE, {c.in(0)}, {c.out()}, options);
}

void write_gather(NodeContext& c) {
  schema::GatherOptionsT options;
  options.axis = c.num_inputs() > 2 ? static_cast<int32_t>(c.scalar(2)) : 0;
  options.batch_dims = static_cast<int32_t>(c.attr<int64_t>("batch_dims", 0));
  c.emit(op::GATHER, {c.in(0), c.in_int32(1)}, {c.out()}, options);
}

// Rows of a variable that nobody writes.
void write_resource_gather(NodeContext& c) {
  const Tensor table = c.scope().frozen_variable(c.input(0));
  if (!table.has_value()) return c.fail(unimplemented("of a variable that is written"));
  schema::GatherOptionsT options;
  options.batch_dims = static_cast<int32_t>(c.attr<int64_t>("batch_dims", 0));
  c.emit(op::GATHER, {c.constant_tensor(table), c.in_int32(1)}, {c.out()}, options);
}

void write_one_hot(NodeContext& c) {
  schema::OneHotOptionsT options;
  options.axis = static_cast<int32_t>(c.attr<int64_t>("axis", -1));
  c.emit(op::ONE_HOT, {c.in(0), c.in_int32(1), c.in(2), c.in(3)}, {c.out()}, options);
}

void write_shape(NodeContext& c) {
  schema::ShapeOptionsT options;
  options.out_type = static_cast<int8_t>(tensor_type_of(c.out_dtype()));
  c.emit(op::SHAPE, {c.in(0)}, {c.out()}, options);
}

void write_mirror_pad(NodeContext& c) {
  schema::MirrorPadOptionsT options;
  options.mode = c.attr<std::string>("mode", "REFLECT") == "SYMMETRIC";
  c.emit(op::MIRROR_PAD, {c.in(0), c.in_int32(1)}, {c.out()}, options);
}

void write_pad_v2(NodeContext& c) {
  c.emit(op::PADV2, {c.in(0), c.in_int32(1), c.in(2)}, {c.out()});
}

void write_reverse_sequence(NodeContext& c) {
  schema::ReverseSequenceOptionsT options;
  options.seq_dim = static_cast<int32_t>(c.attr<int64_t>("seq_dim", 0));
  options.batch_dim = static_cast<int32_t>(c.attr<int64_t>("batch_dim", 0));
  c.emit(op::REVERSE_SEQUENCE, {c.in(0), c.in_int32(1)}, {c.out()}, options);
}

template <int builtin, class Options>
void write_blocks(NodeContext& c) {
  if (c.attr<std::string>("data_format", "NHWC") != "NHWC") {
    return c.fail(unimplemented("with channels first"));
  }
  Options options;
  options.block_size = static_cast<int32_t>(c.attr<int64_t>("block_size", 1));
  c.emit(builtin, {c.in(0)}, {c.out()}, options);
}

void write_top_k(NodeContext& c) { c.emit(op::TOPK_V2, {c.in(0), c.in_int32(1)}, c.all_outputs()); }

void write_fill(NodeContext& c) { c.emit(op::FILL, {c.in_int32(0), c.in(1)}, {c.out()}); }

// Where(x) alone; of three inputs it is Select.
void write_where(NodeContext& c) { c.emit(op::WHERE, {c.in(0)}, {c.out()}); }

void write_dynamic_update_slice(NodeContext& c) {
  c.emit(op::DYNAMIC_UPDATE_SLICE, {c.in(0), c.in(1), c.in_int32(2)}, {c.out()});
}

void write_while(NodeContext& c) {
  const auto condition = c.scope().subgraph(c.node().attrs.get<FunctionAttr>("cond"));
  const auto body = c.scope().subgraph(c.node().attrs.get<FunctionAttr>("body"));
  if (!condition.ok()) return c.fail(condition.status());
  if (!body.ok()) return c.fail(body.status());
  schema::WhileOptionsT options;
  options.cond_subgraph_index = *condition;
  options.body_subgraph_index = *body;
  c.emit(op::WHILE, c.all_inputs(), c.all_outputs(), options);
}

constexpr NodeWriter kArrayWriters[] = {
    {"BatchToSpaceND", moved_by_int32<op::BATCH_TO_SPACE_ND>},
    {"BroadcastArgs", write_as<op::BROADCAST_ARGS>},
    {"BroadcastTo", moved_by_int32<op::BROADCAST_TO>},
    {"ConcatV2", write_concat},
    {"DepthToSpace", write_blocks<op::DEPTH_TO_SPACE, schema::DepthToSpaceOptionsT>},
    {"EnsureShape", write_identity},
    {"ExpandDims", moved_by_int32<op::EXPAND_DIMS>},
    {"Fill", write_fill},
    {"Gather", write_gather},
    {"GatherNd", moved_by_int32<op::GATHER_ND>},
    {"GatherV2", write_gather},
    {"Identity", write_identity},
    {"IdentityN", write_identity},
    {"MirrorPad", write_mirror_pad},
    {"OneHot", write_one_hot},
    {"Pack", write_pack},
    {"Pad", moved_by_int32<op::PAD>},
    {"PadV2", write_pad_v2},
    {"PreventGradient", write_identity},
    {"Range", write_as<op::RANGE>},
    {"Rank", write_as<op::RANK>},
    {"Reshape", write_reshape},
    {"ResourceGather", write_resource_gather},
    {"ReverseSequence", write_reverse_sequence},
    {"ReverseV2", moved_by_int32<op::REVERSE_V2>},
    {"Shape", write_shape},
    {"Slice", moved_by_int32<op::SLICE>},
    {"Snapshot", write_identity},
    {"SpaceToBatchND", moved_by_int32<op::SPACE_TO_BATCH_ND>},
    {"SpaceToDepth", write_blocks<op::SPACE_TO_DEPTH, schema::SpaceToDepthOptionsT>},
    {"Split", write_split},
    {"SplitV", write_split_v},
    {"Squeeze", write_squeeze},
    {"StatelessWhile", write_while},
    {"StopGradient", write_identity},
    {"StridedSlice", write_strided_slice},
    {"Tile", moved_by_int32<op::TILE>},
    {"TopKV2", write_top_k},
    {"Transpose", moved_by_int32<op::TRANSPOSE>},
    {"Unpack", write_unpack},
    {"Where", write_where},
    {"XlaDynamicUpdateSlice", write_dynamic_update_slice},
};

}  // namespace

std::span<const NodeWriter> array_writers() { return kArrayWriters; }

}  // namespace tenon::lite
