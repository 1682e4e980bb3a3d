// The signatures of a `.tflite`: what callers name.
#pragma once

#include "tenon/graph/graph.h"
#include "tenon/lite/model_file.h"

namespace tenon::lite {

// An input or output of a signature.
struct NamedTensor {
  std::string name;
  int place = 0;   // among the subgraph's inputs or outputs
  int tensor = 0;  // of the subgraph
  ValueInfo value;
};

struct LiteSignature {
  std::string name;
  int subgraph = 0;
  std::vector<NamedTensor> inputs, outputs;
};

// Those of the file, or one, "serving_default", of subgraph 0 with the tensors' names. Names of
// inputs are unique, as are those of outputs.
StatusOr<std::vector<LiteSignature>> find_signatures(const ModelFile& file);

}  // namespace tenon::lite
