// OperatorContext: what the translation of one operator sees, and the vocabulary it is written in.
//
// A translation is a function from one operator of TensorFlow Lite to nodes of the Graph; the
// folders' files translate_*.cc hold them, translations.h lists them. It reads the operator's
// options and tensors, adds nodes by `b` and says what its outputs are. Errors stick in `b`.
#pragma once

#include "tenon/graph/builder.h"
#include "tenon/lite/model_file.h"

namespace tenon::lite {

// How the integers of a tensor stand for reals: (q - zero_point) * scale, by channel along `axis`
// where there are several scales.
struct Quantization {
  std::vector<float> scale;  // empty: the tensor is not quantised
  std::vector<int64_t> zero_point;
  int axis = 0;
  explicit operator bool() const { return !scale.empty(); }
};

// What the file says of a tensor.
struct TensorInfo {
  std::string_view name;
  DType dtype = DType::kInvalid;
  int type = 0;        // TensorType
  PartialShape shape;  // -1 where the file leaves it open
  Quantization quantization;
  bool is_variable = false;
};

// ActivationFunctionType.
enum class Activation : int8_t { kNone, kRelu, kReluN1To1, kRelu6, kTanh, kSignBit };

// The translation of a subgraph, which knows its tensors.
class TensorTable {
 public:
  virtual ~TensorTable() = default;
  virtual const TensorInfo& tensor_info(int index) = 0;
  virtual Endpoint value(int index) = 0;
  virtual void set_value(int index, Endpoint value) = 0;
  // The new value of the variable that the tensor is.
  virtual void assign(int index, Endpoint value) = 0;
  // The function of a subgraph: as it is, or as a condition, which gives a scalar.
  virtual StatusOr<FunctionAttr> function(int subgraph, bool condition) = 0;
  // `bytes` were made of what any number of operators may share, or for one of them.
  // RESOURCE_EXHAUSTED when it is too much for a file of this size.
  virtual Status charge(uint64_t bytes) = 0;
  // Subgraph `index` is to run once, before everything else.
  virtual void run_once(int index) = 0;
  // Of the variable of VAR_HANDLE: what the file says where it is read or assigned.
  virtual DType variable_dtype(std::string_view container, std::string_view name) = 0;
  virtual const ModelFile& file() const = 0;
};

class OperatorContext {
 public:
  OperatorContext(TensorTable& table, GraphBuilder& builder, const schema::Operator& op)
      : b(builder), table_(table), op_(op) {}

  GraphBuilder& b;

  const OperatorCode& code() const { return table_.file().code(op_); }
  const schema::Operator& op() const { return op_; }
  TensorTable& table() { return table_; }
  // The operator's options; their defaults where the file has none of this kind.
  template <class Options>
  const Options& options() const {
    const Options* given = nullptr;
    if constexpr (schema::BuiltinOptionsTraits<Options>::enum_value !=
                  schema::BuiltinOptions_NONE) {
      given = op_.builtin_options_as<Options>();
    } else {
      given = op_.builtin_options2_as<Options>();
    }
    return given ? *given : default_options<Options>();
  }

  int num_inputs() const { return length(op_.inputs()); }
  int num_outputs() const { return length(op_.outputs()); }
  bool has_input(int i) const { return i < num_inputs() && input_index(i) >= 0; }
  int input_index(int i) const { return op_.inputs()->Get(static_cast<uint32_t>(i)); }
  int output_index(int i) const { return op_.outputs()->Get(static_cast<uint32_t>(i)); }
  // Fails where there is no such input; so do those below.
  Endpoint in(int i);
  std::vector<Endpoint> all_inputs();
  const TensorInfo& in_info(int i);
  const TensorInfo& out_info(int i);
  DType in_dtype(int i) { return in_info(i).dtype; }
  DType out_dtype(int i) { return out_info(i).dtype; }
  // What the graph knows of the input's shape. A copy: bringing another input in adds nodes.
  PartialShape in_shape(int i) { return b.shape(in(i)); }
  const Tensor* constant(int i) { return b.graph().constant(in(i)); }

  void set(int i, Endpoint value);
  // Outputs 0 and on.
  void set_all(const std::vector<Endpoint>& values);
  // The new value of input `i`, a variable.
  void assign(int i, Endpoint value);
  // set(0, ...) after the fused activation.
  void set_activated(Endpoint value, int activation);
  Endpoint activate(Endpoint value, int activation);
  void fail(const Status& status) { b.fail(status); }

 private:
  template <class Options>
  static const Options& default_options() {
    // An empty table: its offset to a vtable of no fields stands before it.
    alignas(8) static const uint8_t kEmpty[] = {4, 0, 4, 0, 4, 0, 0, 0};
    return *reinterpret_cast<const Options*>(kEmpty + 4);
  }

  TensorTable& table_;
  const schema::Operator& op_;
};

// FULLY_CONNECTED with weights [n, k] counts its input as rows of k elements, whatever its shape.
Endpoint connected_rows(OperatorContext& c);
// The result [rows, n]; with the input's outer dimensions where the options ask for it.
Endpoint connected_result(OperatorContext& c, Endpoint rows);

// "SAME" or "VALID", as Padding says.
inline std::string padding_name(int padding) { return padding == 0 ? "SAME" : "VALID"; }

}  // namespace tenon::lite
