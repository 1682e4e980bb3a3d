// A graph in a file of its own: a frozen GraphDef (.pb, .pbtxt), or the MetaGraphDef (.meta) that
// TensorFlow 1 writes beside a checkpoint.
#pragma once

#include "tenon/graph/import.h"
#include "tenon/saved_model/missing.h"

namespace tenon {

struct GraphFile {
  std::shared_ptr<GraphImporter> importer;
  // Tensors ("x:0") that somebody must feed, and the first outputs of nodes that nobody reads: what
  // a graph says of its inputs and outputs. In the order of the file.
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::string> variables;  // names
  std::map<std::string, int64_t> ops;  // how many nodes
  std::vector<MissingOp> missing;      // sorted by op, then by function
  uint64_t constant_bytes = 0;
};

// NOT_FOUND; DATA_LOSS when the file is neither of the two.
StatusOr<GraphFile> read_graph_file(const std::string& path);

}  // namespace tenon
