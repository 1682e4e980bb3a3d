// LiteModel: a `.tflite` under construction, in the classes that flatc makes of its schema.
#pragma once

#include "tenon/core/shape.h"
#include "tenon/core/tensor.h"
#include "tenon/lite/builtin_operators.h"
#include "tenon/lite/schema_generated.h"

namespace tenon::lite {

// Not thread-safe.
class LiteModel {
 public:
  LiteModel();

  schema::ModelT& model() { return model_; }
  const schema::ModelT& model() const { return model_; }
  schema::SubGraphT& subgraph(int index) { return *model_.subgraphs[static_cast<size_t>(index)]; }
  int num_subgraphs() const { return static_cast<int>(model_.subgraphs.size()); }
  int add_subgraph(std::string name);

  // A tensor without a value. Dimensions that are not known are 1 in its shape and -1 in its
  // signature, as TensorFlow's converter writes them.
  int add_tensor(int subgraph, std::string name, DType dtype, const PartialShape& shape);
  // A tensor with one. Equal bytes share a buffer, across subgraphs too.
  int add_constant(int subgraph, std::string name, const Tensor& value);
  uint32_t add_buffer(std::string_view bytes);
  std::string_view buffer(const schema::TensorT& tensor) const;

  // Removes those that no operator, input or output of the subgraph names.
  void drop_unused_tensors(int subgraph);

  // The index of the operator's code. Version 1: LiteRT's kernels go by types and options.
  uint32_t operator_code(int builtin);
  int builtin(const schema::OperatorT& op) const {
    return model_.operator_codes[op.opcode_index]->builtin_code;
  }
  // An operator without options, not yet in a subgraph.
  std::unique_ptr<schema::OperatorT> make_operator(int builtin, std::vector<int> inputs,
                                                   std::vector<int> outputs);

  // The file. Buffers that no tensor has any more are left out. RESOURCE_EXHAUSTED beyond 2 GiB.
  StatusOr<std::string> bytes() const;

 private:
  schema::ModelT model_;
  std::multimap<size_t, uint32_t> buffers_;  // by hash
  std::map<int, uint32_t> codes_;
};

// What a tensor's buffer holds as floats: of float32 tensors.
std::vector<float> floats_of(const LiteModel& model, const schema::TensorT& tensor);

bool is_constant(const schema::TensorT& tensor);
int64_t num_elements(const schema::TensorT& tensor);

}  // namespace tenon::lite
