// Quantised operators: those that LiteRT computes in integers become ops of ours on levels, those
// that move elements work on the levels as they are, and the rest is computed in floats between a
// dequantisation and a quantisation, as LiteRT's own kernels do for many of them.
#include "tenon/lite/quantized.h"
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

void dequantize(OperatorContext& c) {
  if (is_floating(c.in_dtype(0))) return c.set(0, c.b.cast(c.in(0), c.out_dtype(0)));
  if (!c.in_info(0).quantization) return c.fail(invalid_argument("the input has no scale"));
  c.set(0, dequantized(c.b, c.in(0), c.in_info(0).quantization));
}

void quantize(OperatorContext& c) {
  const Quantization& y = c.out_info(0).quantization;
  if (!y) return c.fail(invalid_argument("the output has no scale"));
  if (c.in_dtype(0) == DType::kFloat) {
    return c.set(0, quantized(c.b, c.in(0), c.out_dtype(0), y));
  }
  const TensorLevels from = input_levels(c, 0), to = output_levels(c);
  const Multiplier factor[] = {make_multiplier(double{from.scale} / double{to.scale})};
  const int32_t zero_points[] = {from.zero_point, to.zero_point};
  AttrMap attrs = factor_attrs(c, factor, zero_points, 0);
  attrs.set("U", c.out_dtype(0));
  c.set(0, c.b.op("_LiteRequantize", {c.in(0)}, std::move(attrs)));
}

// Weights that the reader has made dense already.
void densify(OperatorContext& c) { c.set(0, c.in(0)); }

// Operators whose levels are moved, chosen or counted, never computed with.
constexpr int kMoving[] = {
    op::ARG_MAX,
    op::ARG_MIN,
    op::ASSIGN_VARIABLE,
    op::BATCH_TO_SPACE_ND,
    op::BITCAST,
    op::BROADCAST_TO,
    op::CALL,
    op::CALL_ONCE,
    op::CAST,
    op::CONCATENATION,
    op::DENSIFY,
    op::DEPTH_TO_SPACE,
    op::DEQUANTIZE,
    op::DYNAMIC_UPDATE_SLICE,
    op::EXPAND_DIMS,
    op::FILL,
    op::GATHER,
    op::GATHER_ND,
    op::IF,
    op::MAXIMUM,
    op::MINIMUM,
    op::MIRROR_PAD,
    op::ONE_HOT,
    op::PACK,
    op::PADV2,
    op::QUANTIZE,
    op::RANK,
    op::READ_VARIABLE,
    op::REDUCE_MAX,
    op::REDUCE_MIN,
    op::RESHAPE,
    op::RESIZE_NEAREST_NEIGHBOR,
    op::REVERSE_SEQUENCE,
    op::REVERSE_V2,
    op::SCATTER_ND,
    op::SELECT,
    op::SELECT_V2,
    op::SHAPE,
    op::SLICE,
    op::SPACE_TO_DEPTH,
    op::SPLIT,
    op::SPLIT_V,
    op::SQUEEZE,
    op::STABLEHLO_COMPOSITE,
    op::STRIDED_SLICE,
    op::TILE,
    op::TOPK_V2,
    op::TRANSPOSE,
    op::UNIQUE,
    op::UNPACK,
    op::VAR_HANDLE,
    op::WHERE,
    op::WHILE,
};

// The tensors of an operator as reals: quantised inputs are dequantised, outputs quantised.
class RealTensors : public TensorTable {
 public:
  RealTensors(TensorTable& table, GraphBuilder& builder) : table_(table), b_(builder) {}

  const TensorInfo& tensor_info(int index) override {
    const auto known = infos_.find(index);
    if (known != infos_.end()) return known->second;
    TensorInfo info = table_.tensor_info(index);
    if (is_real(info)) {
      info.dtype = DType::kFloat;
      info.quantization = {};
    }
    return infos_.emplace(index, std::move(info)).first->second;
  }
  // `value` stands for tensor `index` from now on.
  void replace(int index, Endpoint value) { replaced_[index] = value; }

  Endpoint value(int index) override {
    if (const auto it = replaced_.find(index); it != replaced_.end()) return it->second;
    const TensorInfo& info = table_.tensor_info(index);
    const Endpoint value = table_.value(index);
    return is_real(info) ? dequantized(b_, value, info.quantization) : value;
  }
  void set_value(int index, Endpoint value) override {
    const TensorInfo& info = table_.tensor_info(index);
    table_.set_value(index,
                     is_real(info) ? quantized(b_, value, info.dtype, info.quantization) : value);
  }
  void assign(int index, Endpoint value) override {
    const TensorInfo& info = table_.tensor_info(index);
    table_.assign(index,
                  is_real(info) ? quantized(b_, value, info.dtype, info.quantization) : value);
  }
  StatusOr<FunctionAttr> function(int subgraph, bool condition) override {
    return table_.function(subgraph, condition);
  }
  Status charge(uint64_t bytes) override { return table_.charge(bytes); }
  void run_once(int index) override { table_.run_once(index); }
  DType variable_dtype(std::string_view container, std::string_view name) override {
    return table_.variable_dtype(container, name);
  }
  const ModelFile& file() const override { return table_.file(); }

 private:
  static bool is_real(const TensorInfo& info) {
    const bool wide = info.dtype == DType::kInt32 || info.dtype == DType::kInt64;
    return is_levels(info) || (wide && info.quantization);
  }

  TensorTable& table_;
  GraphBuilder& b_;
  std::map<int, TensorInfo> infos_;
  std::map<int, Endpoint> replaced_;
};

// Floats that meet weights of 8 bits or less: LiteRT rounds them to 8 bits first, row by row.
void round_input(OperatorContext& c, RealTensors& reals) {
  if (!c.has_input(0) || !c.has_input(1) || c.in_dtype(0) != DType::kFloat ||
      !is_levels(c.in_info(1)) || c.in_dtype(1) == DType::kInt16) {
    return;
  }
  const PartialShape shape = c.in_shape(0);
  const PartialShape weights = c.in_shape(1);
  const bool by_channel = c.in_info(1).quantization.scale.size() > 1;
  Endpoint input = c.in(0);
  int64_t axis = 1;
  bool asymmetric = by_channel;
  switch (c.code().builtin) {
    case op::CONV_2D:
    case op::DEPTHWISE_CONV_2D:
      break;
    case op::FULLY_CONNECTED: {
      const auto& o = c.options<schema::FullyConnectedOptions>();
      asymmetric = o.asymmetric_quantize_inputs();
      if (!weights.has_rank() || weights.rank() != 2 || weights[1] <= 0) return;
      if (shape.has_rank() && shape.rank() > 0 && shape[shape.rank() - 1] == weights[1]) {
        axis = shape.rank() - 1;
      } else if (!o.keep_num_dims()) {
        const int64_t rows[] = {-1, weights[1]};
        input = c.b.reshape(input, rows);
      } else {
        return;
      }
      break;
    }
    case op::BATCH_MATMUL:
      asymmetric = c.options<schema::BatchMatMulOptions>().asymmetric_quantize_inputs();
      if (!shape.has_rank() || c.options<schema::BatchMatMulOptions>().adj_x()) return;
      axis = shape.rank() - 1;
      break;
    case op::SVDF:
      asymmetric = c.options<schema::SVDFOptions>().asymmetric_quantize_inputs();
      break;
    default:
      return;
  }
  reals.replace(c.input_index(0),
                c.b.op("_LiteRoundRows", {input}, {{"axis", axis}, {"asymmetric", asymmetric}}));
}

bool has_levels(OperatorContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (c.has_input(i) && is_levels(c.in_info(i))) return true;
  }
  for (int i = 0; i < c.num_outputs(); ++i) {
    if (is_levels(c.out_info(i))) return true;
  }
  return false;
}

}  // namespace

TENON_LITE_OPERATOR(DENSIFY, densify)
TENON_LITE_OPERATOR(DEQUANTIZE, dequantize)
TENON_LITE_OPERATOR(QUANTIZE, quantize)

bool translate_quantized(OperatorContext& c) {
  if (!has_levels(c)) return false;
  const int builtin = c.code().builtin;
  // A transposed convolution's first input is a shape.
  const int first = builtin == op::TRANSPOSE_CONV ? 2 : 0;
  if (c.has_input(first) && c.num_outputs() > 0 && is_levels(c.in_info(first))) {
    for (const QuantizedTranslation* row : all_quantized_translations()) {
      if (row->builtin == builtin && row->translate(c)) return true;
    }
  }
  if (std::find(std::begin(kMoving), std::end(kMoving), builtin) != std::end(kMoving)) {
    return false;
  }
  RealTensors reals(c.table(), c.b);
  round_input(c, reals);
  OperatorContext inner(reals, c.b, c.op());
  find_translation(builtin)->translate(inner);
  return true;
}

}  // namespace tenon::lite
