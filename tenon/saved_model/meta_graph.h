// Reading saved_model.pb (or .pbtxt): which MetaGraph, which signatures, which variables.
#pragma once

#include "tenon/base/wire.h"
#include "tenon/saved_model/saved_model.h"

namespace tenon::saved_model_internal {

// The signature, and its one output, that names the initialisation.
inline constexpr std::string_view kInitSignature = "__saved_model_init_op";

// A model's file, and its MetaGraphDefs in it.
struct ModelFile {
  std::string path;
  std::shared_ptr<MessageBytes> bytes;
  std::vector<std::string_view> meta_graphs;  // views into `bytes`, at least one
};

// NOT_FOUND; DATA_LOSS when it is no SavedModel; INVALID_ARGUMENT when it holds no MetaGraph.
StatusOr<ModelFile> read_model_file(const std::string& folder);

// The tags of a MetaGraphDef. DATA_LOSS when it is malformed.
StatusOr<std::vector<std::string>> tags_of(std::string_view meta_graph);

// The MetaGraph whose tags equal `tags` as a set.
StatusOr<std::string_view> select(const ModelFile& file, std::span<const std::string> tags);

// How TensorFlow Serving restores and initialises: a node to run after feeding a file name, another
// after feeding asset paths. Empty names where there is none.
struct StartUp {
  std::string filename_tensor;
  std::string restore_node;
  std::string init_node;
  std::vector<std::pair<std::string, std::string>> assets;  // tensor, file name
};

// What a MetaGraphDef says of itself. Immutable.
struct MetaGraph {
  std::shared_ptr<const GraphView> graph;
  std::map<std::string, MessageField> signature_defs;  // serialized SignatureDefs
  StartUp start_up;
  // Of each concrete function the objects that it captures, by their number in the object graph.
  std::map<std::string, std::vector<int>> bound_inputs;
};

// DATA_LOSS when `message`, a part of `owner`, is malformed. Once for each owner: large tensors are
// taken out of it (GraphView::parse).
StatusOr<std::shared_ptr<const MetaGraph>> parse_meta_graph(std::string_view message,
                                                            std::shared_ptr<MessageBytes> owner);

// Those with sparse or composite tensors are left out, which a warning says where `warn` is set.
StatusOr<std::vector<Signature>> signatures_of(const MetaGraph& meta, bool warn);

// Name and tensors of the outputs of every signature that `known` does not hold, the initialisation
// among them. Malformed ones have no outputs.
std::vector<Signature> other_signatures(const MetaGraph& meta, std::span<const Signature> known);

// Variables of the object graph by the name their handle has in the graph: its checkpoint key,
// dtype and shape. A handle is found as a captured input of the function that a signature calls.
struct ObjectVariable {
  std::string name;
  std::string checkpoint_key;
  std::optional<PartialShape> shape;  // that the handle declares
};
StatusOr<std::vector<ObjectVariable>> object_variables(const MetaGraph& meta,
                                                       std::string_view checkpoint_graph);

// Whether the graph has tables whose entries a checkpoint holds.
bool has_mutable_tables(const GraphView& graph);

// Names of the ops of the graph and of its functions.
std::vector<std::string> ops_of(const GraphView& graph);

}  // namespace tenon::saved_model_internal
