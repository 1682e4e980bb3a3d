// A SavedModel as a `.tflite`: its inference graph, optimised, as builtin operators of TensorFlow
// Lite, in floats or quantised.
#pragma once

#include "tenon/saved_model/saved_model.h"

namespace tenon::lite {

enum class Weights : uint8_t {
  kFloat32,
  kFloat16,  // stored so, computed as float32
  kDynamic,  // 8 bits by channel; activations are rounded while running
  kInt8,     // activations too, by the ranges that the representative data has
  kInt16x8,  // activations of 16 bits, weights of 8
};

// What quantisation did to the result of one operator, over the representative data.
struct LayerLoss {
  std::string name, op;
  double range = 0;  // the largest magnitude in floats
  double error = 0;  // root of the mean square of the difference, by that of the floats
  double added = 0;  // less the largest error among the operator's inputs
};

struct LiteFile {
  std::string bytes;
  std::vector<LayerLoss> layers;  // of kInt8 and kInt16x8, in the order of the operators
};

struct LiteOptions {
  Weights weights = Weights::kFloat32;
  // By the names of the signature's inputs; dimension 0 counts the examples. Needed for kInt8 and
  // kInt16x8, and then of every signature that is written.
  std::span<const std::pair<std::string, Tensor>> representative;
};

// All signatures that can be run; those with the same graph share it. UNIMPLEMENTED names op and
// node where TensorFlow Lite has no such operator, among them reads of variables that are written.
StatusOr<LiteFile> write_lite(const SavedModel& model, const LiteOptions& options);

}  // namespace tenon::lite
