// What the writer passes between its steps: endpoints with their variables made arguments, and the
// messages made of them.
#pragma once

#include "tenon/saved_model/writer.h"

namespace tensorflow {
class MetaGraphDef;
}

namespace tenon::saved_model_internal {

struct ExportedVariable {
  std::string name;
  DType dtype;
  PartialShape shape;
  bool trainable = false;
  std::string key;  // in the checkpoint
  Tensor value;
  std::string handle;  // the VarHandleOp's name in the graph; set by add_graph
};

struct ExportedEndpoint {
  std::string name;
  std::string method_name;
  Graph body;                     // args: the inputs, then a resource for each capture
  std::vector<size_t> captures;   // indices of variables
  std::vector<size_t> by_input;   // indices of inputs, sorted by name, as signatures take them
  std::vector<size_t> by_output;  // indices of results, sorted by name
  std::map<std::string, Tensor> defaults;
  bool lists_outputs = false;  // results are output_0, output_1, ...: a list, not a dictionary
  std::string function;        // the body's name in the library; set by add_graph

  size_t num_inputs() const { return by_input.size(); }
  const std::string& input_name(size_t index) const { return body.node(body.args[index]).name; }
  const ValueInfo& input(size_t index) const { return body.value({body.args[index], 0}); }
  const ValueInfo& output(size_t index) const { return body.value(body.results[index]); }
};

struct ExportedSignature {
  std::string name;
  size_t endpoint;
  std::string function;  // the wrapper's name in the library; set by add_graph
};

struct ExportedModel {
  std::vector<ExportedVariable> variables;
  std::vector<ExportedEndpoint> endpoints;
  std::vector<ExportedSignature> signatures;  // sorted by name

  // Names of the nodes that save and restore; set by add_graph, which keeps them free.
  struct SaverNodes {
    std::string filename, object_graph, save, restore;
  } saver;
};

// Checks `spec`, reads the variables and makes them arguments of the endpoints' functions.
StatusOr<ExportedModel> prepare_export(const SavedModelSpec& spec);

// graph_def and signature_def. Sets the names of functions.
Status add_graph(ExportedModel& model, tensorflow::MetaGraphDef& meta);

// object_graph_def. After add_graph(). Returns the checkpoint's object graph, serialized.
std::string add_objects(const ExportedModel& model, tensorflow::MetaGraphDef& meta);

// saver_def, and the functions by which a session saves and restores. After add_graph().
void add_saver(const ExportedModel& model, const std::string& object_graph,
               tensorflow::MetaGraphDef& meta);

// saved_model.pb, and the checkpoint's object graph.
struct ExportedProtos {
  std::string saved_model;
  std::string object_graph;
};
StatusOr<ExportedProtos> make_protos(ExportedModel& model);

}  // namespace tenon::saved_model_internal
