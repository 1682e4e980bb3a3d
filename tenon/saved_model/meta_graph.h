// Reading saved_model.pb (or .pbtxt): which MetaGraph, which signatures, which variables.
#pragma once

#include "tenon/saved_model/saved_model.h"

namespace tensorflow {
class SavedModel;
}

namespace tenon::saved_model_internal {

StatusOr<std::shared_ptr<const tensorflow::SavedModel>> read_proto(const std::string& folder);

// The MetaGraph whose tags equal `tags` as a set.
StatusOr<std::shared_ptr<const tensorflow::MetaGraphDef>> select(
    std::shared_ptr<const tensorflow::SavedModel> model, std::span<const std::string> tags);

StatusOr<std::vector<Signature>> signatures_of(const tensorflow::MetaGraphDef& meta);

// How TensorFlow Serving restores and initialises: a node to run after feeding a file name, another
// after feeding asset paths. Empty names where there is none.
struct StartUp {
  std::string filename_tensor;
  std::string restore_node;
  std::string init_node;
  std::vector<std::pair<std::string, std::string>> assets;  // tensor, file name
};
StartUp start_up_of(const tensorflow::MetaGraphDef& meta);

// Variables of the object graph by the name their handle has in the graph: its checkpoint key,
// dtype and shape. A handle is found as a captured input of the function that a signature calls.
struct ObjectVariable {
  std::string name;
  std::string checkpoint_key;
};
StatusOr<std::vector<ObjectVariable>> object_variables(const tensorflow::MetaGraphDef& meta,
                                                       std::string_view checkpoint_graph);

// Whether the graph has tables whose entries a checkpoint holds.
bool has_mutable_tables(const tensorflow::MetaGraphDef& meta);

std::vector<std::string> ops_of(const tensorflow::MetaGraphDef& meta);

}  // namespace tenon::saved_model_internal
