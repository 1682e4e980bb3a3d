// Writing SavedModels that tf.saved_model.load, a TensorFlow 1 session (TensorFlow Serving) and
// Keras' TFSMLayer read. docs/savedmodel.md says what is in them.
#pragma once

#include "tenon/graph/graph.h"
#include "tenon/runtime/model_state.h"

namespace tenon {

// A function of the model, by which it is called.
struct SavedModelEndpoint {
  // Attribute of the loaded object and signature. The first endpoint is the signature
  // "serving_default" too, unless an endpoint has that name.
  std::string name = "serve";
  // Names of its args are the inputs', its result_names the outputs'. Variables are read by
  // VarHandleOps whose shared_name is the variable's name, outside of nested functions.
  Graph function;
  std::string method_name = "tensorflow/serving/predict";
  std::map<std::string, Tensor> defaults = {};  // of inputs that requests may leave out
};

struct SavedModelVariable {
  std::string name;  // "dense/kernel"
  bool trainable = true;
};

struct SavedModelSpec {
  std::string folder;  // the version's: ".../1"
  std::vector<SavedModelEndpoint> endpoints;
  // What the lists `variables`, `trainable_variables` and `non_trainable_variables` of the loaded
  // object hold, in this order. Variables that only endpoints name follow, as not trainable.
  std::vector<SavedModelVariable> variables;
  const ModelState* state = nullptr;  // holds the variables' values; null when there are none
  std::map<std::string, std::string> assets_extra;  // file name -> content
  bool overwrite = false;                           // replace a folder that is there and not empty
};

// The folder appears whole or not at all: it is written beside its place and renamed. On an error
// what stood there stays. ALREADY_EXISTS; INVALID_ARGUMENT for names that clash or an endpoint
// without results; UNIMPLEMENTED for graphs that cannot be expressed.
Status write_saved_model(const SavedModelSpec& spec);

}  // namespace tenon
