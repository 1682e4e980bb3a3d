// What the writer passes between its steps: endpoints with their variables made arguments, and the
// messages made of them.
#pragma once

#include "tenon/graph/messages/function_def_writer.h"
#include "tenon/saved_model/writer.h"

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

// The parts of a MetaGraphDef, serialized.
struct ExportedGraph {
  NodeDefList nodes{NodeDefList::Of::kGraph};
  FunctionDefList functions;
  std::map<std::string, std::string> signature_defs;  // by name
  std::string init_node;
};

// Nodes, functions and signatures. Sets the names of functions and nodes in `model`.
Status add_graph(ExportedModel& model, ExportedGraph& graph);

// The objects of the model and those of its checkpoint: SavedObjectGraph, TrackableObjectGraph.
// After add_graph().
struct ExportedObjects {
  std::string saved;
  std::string trackable;
};
ExportedObjects make_objects(const ExportedModel& model);

// The functions by which a session saves and restores, and the nodes that call them. After
// add_graph().
Status add_saver(const ExportedModel& model, const std::string& object_graph, ExportedGraph& graph);

// saved_model.pb, and the checkpoint's object graph.
struct ExportedMessages {
  std::string saved_model;
  std::string object_graph;
};
StatusOr<ExportedMessages> make_messages(ExportedModel& model);

}  // namespace tenon::saved_model_internal
