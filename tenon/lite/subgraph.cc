#include "tenon/lite/subgraph.h"

#include "tenon/graph/effects.h"
#include "tenon/lite/constants.h"
#include "tenon/lite/sparse.h"
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

// Buffers and vectors may be shared by any number of tensors and operators, so the file's size does
// not bound what is made of them.
constexpr uint64_t kConstantFactor = 16, kConstantBase = uint64_t{64} << 20;
constexpr int kMostScales = 1 << 20;

StatusOr<Quantization> read_quantization(const schema::Tensor& tensor) {
  Quantization result;
  const auto* given = tensor.quantization();
  if (!given || length(given->scale()) == 0) return result;
  if (given->details_type() != 0) {
    return unimplemented("its quantisation is of kind ", static_cast<int>(given->details_type()),
                         "; only scales by tensor or by channel are read");
  }
  const int count = length(given->scale());
  if (count > kMostScales || length(given->zero_point()) > count) {
    return invalid_argument("it has ", count, " scales and ", length(given->zero_point()),
                            " zero points");
  }
  result.scale.assign(given->scale()->begin(), given->scale()->end());
  if (given->zero_point()) {
    result.zero_point.assign(given->zero_point()->begin(), given->zero_point()->end());
  }
  result.zero_point.resize(result.scale.size(),
                           result.zero_point.size() == 1 ? result.zero_point[0] : 0);
  for (float scale : result.scale) {
    if (!std::isfinite(scale) || scale < 0) return invalid_argument("it has the scale ", scale);
  }
  result.axis = given->quantized_dimension();
  if (count > 1 && (result.axis < 0 || result.axis >= length(tensor.shape()) ||
                    tensor.shape()->Get(static_cast<uint32_t>(result.axis)) != count)) {
    return invalid_argument("it has ", count, " scales along axis ", result.axis,
                            ", which is not its shape");
  }
  return result;
}

class SubgraphTranslation : public TensorTable {
 public:
  SubgraphTranslation(SubgraphFunctions& functions, int index)
      : functions_(functions),
        subgraph_(functions.file().subgraph(index)),
        index_(index),
        graph_(functions.library()),
        builder_(graph_) {}

  StatusOr<Graph> run(bool condition) {
    const auto count = static_cast<size_t>(length(subgraph_.tensors()));
    infos_.resize(count);
    values_.resize(count);
    TENON_RETURN_IF_ERROR(add_arguments());
    for (int i = 0; i < length(subgraph_.operators()); ++i) {
      const auto& op = *subgraph_.operators()->Get(static_cast<uint32_t>(i));
      Status status = translate(op);
      if (status.ok()) order_effects();
      if (!status.ok()) {
        return with_context(status, cat(operator_name(file().code(op)), " (operator ", i,
                                        " of subgraph ", index_, ")"));
      }
    }
    for (int i = 0; i < length(subgraph_.outputs()); ++i) {
      Endpoint result = value(subgraph_.outputs()->Get(static_cast<uint32_t>(i)));
      if (condition) result = builder_.reshape(result, std::span<const int64_t>());
      graph_.results.push_back(result);
      graph_.result_names.push_back(cat("output_", i));
    }
    if (!builder_.status().ok()) {
      return with_context(builder_.status(), cat("the outputs of subgraph ", index_));
    }
    return std::move(graph_);
  }

  const TensorInfo& tensor_info(int index) override {
    auto& info = infos_[static_cast<size_t>(index)];
    if (!info) info = read_info(index);
    return *info;
  }

  Endpoint value(int index) override {
    Endpoint& value = values_[static_cast<size_t>(index)];
    if (value || !builder_.status().ok()) return value;
    const Status status = bring(index, value);
    if (!status.ok()) builder_.fail(with_context(status, where(index)));
    return value;
  }

  void set_value(int index, Endpoint value) override {
    values_[static_cast<size_t>(index)] = value;
  }

  void assign(int index, Endpoint value) override {
    builder_.node("AssignVariableOp", {variable(index), value},
                  {{"dtype", tensor_info(index).dtype}});
    values_[static_cast<size_t>(index)] = {};
  }

  StatusOr<FunctionAttr> function(int subgraph, bool condition) override {
    if (subgraph < 0 || subgraph >= file().num_subgraphs()) {
      return invalid_argument("it names subgraph ", subgraph, ", the file has ",
                              file().num_subgraphs());
    }
    return FunctionAttr{functions_.function(subgraph, condition), nullptr};
  }

  Status charge(uint64_t bytes) override {
    uint64_t& made = functions_.notes().constant_bytes;
    made += bytes;
    if (made <= kConstantFactor * file().num_bytes() + kConstantBase) return absl::OkStatus();
    return resource_exhausted("the constants take ", made, " bytes, the file has ",
                              file().num_bytes());
  }

  void run_once(int index) override { functions_.notes().run_once.push_back(index); }

  DType variable_dtype(std::string_view container, std::string_view name) override {
    const auto& dtypes = functions_.variable_dtypes();
    const auto it = dtypes.find({std::string(container), std::string(name)});
    return it == dtypes.end() ? DType::kFloat : it->second;
  }

  const ModelFile& file() const override { return functions_.file(); }

 private:
  const schema::Tensor& tensor(int index) const {
    return *subgraph_.tensors()->Get(static_cast<uint32_t>(index));
  }
  std::string where(int index) const {
    return cat("tensor ", index, " '", text(tensor(index).name()).substr(0, 100), "' of subgraph ",
               index_);
  }

  // A handle of the variable that the tensor is.
  Endpoint variable(int index) {
    const TensorInfo& info = tensor_info(index);
    if (!info.shape.is_fully_known()) {
      builder_.fail(invalid_argument(where(index), " is a variable of unknown shape"));
      return {};
    }
    const std::string name = cat("subgraph_", index_, "/tensor_", index);
    functions_.notes().variables.try_emplace(
        name, StateVariable{info.dtype, info.shape.to_shape(), zero_level(info)});
    return builder_.op("VarHandleOp", {},
                       {{"dtype", info.dtype}, {"shape", info.shape}, {"shared_name", name}});
  }

  // What stands for 0: LiteRT fills variables with zero points.
  static int64_t zero_level(const TensorInfo& info) {
    return info.quantization ? info.quantization.zero_point[0] : 0;
  }

  TensorInfo read_info(int index) {
    TensorInfo info;
    const schema::Tensor& given = tensor(index);
    info.name = text(given.name());
    info.type = given.type();
    info.is_variable = given.is_variable();
    const StatusOr<ValueInfo> declared = declared_value(given);
    StatusOr<Quantization> quantization = read_quantization(given);
    if (!declared.ok()) builder_.fail(with_context(declared.status(), where(index)));
    if (!quantization.ok()) builder_.fail(with_context(quantization.status(), where(index)));
    if (declared.ok()) {
      info.dtype = declared->dtype;
      info.shape = declared->shape;
    }
    if (quantization.ok()) info.quantization = *std::move(quantization);
    return info;
  }

  Status add_arguments() {
    for (int i = 0; i < length(subgraph_.inputs()); ++i) {
      const int index = subgraph_.inputs()->Get(static_cast<uint32_t>(i));
      TENON_ASSIGN_OR_RETURN(const ValueInfo declared, declared_value(tensor(index)));
      // A caller may bring any shape of this rank: what the file says is what it was made with.
      const Endpoint arg = builder_.arg(cat("input_", i), declared.dtype, declared.shape);
      set_value(index, arg);
    }
    return builder_.status();
  }

  Status bring(int index, Endpoint& value) {
    const TensorInfo& info = tensor_info(index);
    TENON_RETURN_IF_ERROR(builder_.status());
    if (info.is_variable) {
      value = builder_.op("ReadVariableOp", {variable(index)}, {{"dtype", info.dtype}});
      return absl::OkStatus();
    }
    if (tensor(index).sparsity()) {
      TENON_RETURN_IF_ERROR(charge(levels_bytes(*tensor(index).sparsity())));
    }
    const bool empty = info.shape.is_fully_known() && info.shape.num_elements() == 0;
    if (file().buffer(tensor(index)).empty() && !empty) {
      return invalid_argument("it is read before anything computes it");
    }
    TENON_ASSIGN_OR_RETURN(Tensor constant, constant_value(file(), tensor(index)));
    TENON_RETURN_IF_ERROR(charge(constant.num_bytes()));
    value = builder_.constant(std::move(constant));
    return absl::OkStatus();
  }

  // Nodes that touch variables and tables, or do anything else that is seen, run in the order of
  // the operators; nobody reads the results of some.
  void order_effects() {
    for (; ordered_ < graph_.size(); ++ordered_) {
      Node& node = graph_.node(ordered_);
      const Effect effect = node.op->decl().effect;
      if (effect == Effect::kNone || effect == Effect::kRandom) continue;
      const Effects effects = effects_of(graph_, node);
      if (!effects.any()) continue;
      if (last_effect_ >= 0) node.control_inputs.push_back(last_effect_);
      last_effect_ = ordered_;
      if (effects.beyond_reading()) graph_.control_results.push_back(ordered_);
    }
  }

  // Nodes have the scales of their operands as attributes.
  Status charge_scales(const flatbuffers::Vector<int32_t>* operands) {
    uint64_t scales = 0;
    for (int i = 0; i < length(operands); ++i) {
      const int index = operands->Get(static_cast<uint32_t>(i));
      const auto* given = index < 0 ? nullptr : tensor(index).quantization();
      scales += given ? static_cast<uint64_t>(length(given->scale())) : 0;
    }
    return charge(scales * (sizeof(float) + sizeof(int64_t)));
  }

  Status translate(const schema::Operator& op) {
    const OperatorCode& code = file().code(op);
    TENON_RETURN_IF_ERROR(charge_scales(op.inputs()));
    TENON_RETURN_IF_ERROR(charge_scales(op.outputs()));
    OperatorContext context(*this, builder_, op);
    if (code.builtin == op::CUSTOM) {
      translate_custom(context);
      return builder_.status();
    }
    const Translation* translation = find_translation(code.builtin);
    if (!translation) return missing_operator();
    if (!translate_quantized(context)) translation->translate(context);
    return builder_.status();
  }

  static Status missing_operator() {
    if (!OpRegistry::global().left_out()) {
      return unimplemented("this operator of TensorFlow Lite is not implemented");
    }
    return unimplemented(
        "this operator was left out of this build, which holds the kernels of certain models; name "
        "this model too in `./dev lite --models`");
  }

  // An op of that name, of a plug-in say: its outputs must be what the file declares.
  void translate_custom(OperatorContext& c) {
    std::string_view name = c.code().custom;
    const bool of_tensorflow = name.starts_with("Flex");
    if (!OpRegistry::global().find(name)) {
      return c.fail(unimplemented(of_tensorflow
                                      ? "ops of TensorFlow in a .tflite (Flex) are not translated"
                                      : "no op of this name is registered by a plug-in"));
    }
    const std::vector<Endpoint> outputs = builder_.ops(name, c.all_inputs());
    for (int i = 0; i < c.num_outputs() && static_cast<size_t>(i) < outputs.size(); ++i) {
      c.set(i, outputs[static_cast<size_t>(i)]);
    }
  }

  SubgraphFunctions& functions_;
  const schema::SubGraph& subgraph_;
  int index_;
  Graph graph_;
  GraphBuilder builder_;
  std::vector<std::optional<TensorInfo>> infos_;
  std::vector<Endpoint> values_;
  NodeId ordered_ = 0;       // the nodes before it are in order
  NodeId last_effect_ = -1;  // the last of them that does something
};

}  // namespace

StatusOr<Tensor> filled(DType dtype, Shape shape, int64_t level) {
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, std::move(shape)));
  if (!is_object(dtype)) std::memset(tensor.mutable_raw(), 0, tensor.num_bytes());
  visit<TypeList<int8_t, uint8_t, int16_t>>(dtype, [&]<class T>() {
    std::fill_n(tensor.mutable_data<T>(), tensor.num_elements(), static_cast<T>(level));
  });
  return tensor;
}

StatusOr<ValueInfo> declared_value(const schema::Tensor& tensor) {
  ValueInfo info;
  TENON_ASSIGN_OR_RETURN(info.dtype, dtype_of_tensor(tensor.type()));
  const bool open = length(tensor.shape_signature()) > 0;
  const auto* given = open ? tensor.shape_signature() : tensor.shape();
  std::vector<int64_t> dims, known;
  for (int i = 0; i < length(given); ++i) {
    const int32_t size = given->Get(static_cast<uint32_t>(i));
    dims.push_back(size);
    known.push_back(size == -1 ? 1 : size);
  }
  TENON_RETURN_IF_ERROR(Shape::make(known, std::max<size_t>(size_of(info.dtype), 1)).status());
  // Without dimensions and has_rank it may be a scalar, or of a rank that the file does not know.
  if (!dims.empty() || tensor.has_rank()) info.shape = PartialShape(dims);
  return info;
}

SubgraphFunctions::SubgraphFunctions(std::shared_ptr<const ModelFile> file)
    : file_(std::move(file)), library_(std::make_shared<FunctionLibrary>()) {
  for (int i = 0; i < file_->num_subgraphs(); ++i) find_variables(file_->subgraph(i));
}

void SubgraphFunctions::find_variables(const schema::SubGraph& graph) {
  std::map<int, VariableKey> handles;  // by tensor
  for (int i = 0; i < length(graph.operators()); ++i) {
    const auto& op = *graph.operators()->Get(static_cast<uint32_t>(i));
    const int builtin = file_->code(op).builtin;
    if (builtin == op::VAR_HANDLE && length(op.outputs()) > 0) {
      const auto* o = op.builtin_options_as_VarHandleOptions();
      if (o) {
        handles[op.outputs()->Get(0)] = VariableKey(text(o->container()), text(o->shared_name()));
      }
    }
    const auto* values = builtin == op::READ_VARIABLE     ? op.outputs()
                         : builtin == op::ASSIGN_VARIABLE ? op.inputs()
                                                          : nullptr;
    if (!values || length(values) == 0 || length(op.inputs()) == 0) continue;
    const auto handle = handles.find(op.inputs()->Get(0));
    const int value = values->Get(values->size() - 1);
    if (handle == handles.end() || value < 0) continue;
    const auto dtype = dtype_of_tensor(graph.tensors()->Get(static_cast<uint32_t>(value))->type());
    if (dtype.ok()) variable_dtypes_.emplace(handle->second, *dtype);
  }
}

std::string SubgraphFunctions::function(int index, bool condition) {
  std::string name = cat("subgraph_", index, condition ? "_condition" : "");
  if (!library_->contains(name)) {
    library_->add_lazy(name, [this, index, condition](const auto&) {
      return SubgraphTranslation(*this, index).run(condition);
    });
  }
  return name;
}

const Translation* find_translation(int builtin) {
  static const std::map<int, const Translation*>* const kTable = [] {
    auto* table = new std::map<int, const Translation*>;
    for (const Translation* row : all_translations()) table->emplace(row->builtin, row);
    return table;
  }();
  const auto it = kTable->find(builtin);
  return it == kTable->end() ? nullptr : it->second;
}

}  // namespace tenon::lite
