// A `.tflite` as Graphs: each subgraph a function of one library.
#pragma once

#include "tenon/graph/function_library.h"
#include "tenon/lite/model_file.h"

namespace tenon::lite {

// A variable that a tensor is, filled with one level before the first run.
struct StateVariable {
  DType dtype;
  Shape shape;
  int64_t fill = 0;
};

// What the translation of subgraphs finds out on the way.
struct TranslationNotes {
  std::map<std::string, StateVariable> variables;  // by name
  std::vector<int> run_once;                       // the subgraphs of CALL_ONCE
  uint64_t constant_bytes = 0;  // what was made of what tensors and operators may share
};

// Container and name of a variable.
using VariableKey = std::pair<std::string, std::string>;

// The functions of a file. Not thread-safe.
class SubgraphFunctions {
 public:
  explicit SubgraphFunctions(std::shared_ptr<const ModelFile> file);

  // The name of the function of subgraph `index`, which exists; it is translated when it is first
  // found. As a condition, its result is a scalar.
  std::string function(int index, bool condition = false);
  const std::shared_ptr<FunctionLibrary>& library() const { return library_; }
  const ModelFile& file() const { return *file_; }
  TranslationNotes& notes() { return notes_; }
  // Of the variables that VAR_HANDLE names and somebody reads or assigns beside it.
  const std::map<VariableKey, DType>& variable_dtypes() const { return variable_dtypes_; }

 private:
  void find_variables(const schema::SubGraph& graph);

  std::shared_ptr<const ModelFile> file_;
  std::shared_ptr<FunctionLibrary> library_;
  TranslationNotes notes_;
  std::map<VariableKey, DType> variable_dtypes_;
};

// A tensor of `dtype` whose elements are all `level` where they are integers of 8 or 16 bits, else
// 0.
StatusOr<Tensor> filled(DType dtype, Shape shape, int64_t level);

// The declared type and shape of a tensor, checked.
StatusOr<ValueInfo> declared_value(const schema::Tensor& tensor);

}  // namespace tenon::lite
