// Activations and weights as integers, by the rules of TensorFlow Lite's specification of
// quantisation (8 bits: asymmetric by tensor; 16 bits: symmetric; weights: 8 bits by channel).
#pragma once

#include "tenon/lite/writer/lite_writer.h"
#include "tenon/lite/writer/recorder.h"

namespace tenon::lite {

// Rewrites every subgraph. Inputs and outputs stay floats; so do operators that have no integer
// kernel. Ranges are the smallest and largest values on `representative`.
StatusOr<std::vector<LayerLoss>> quantize(LiteModel& model, bool wide, NamedArrays representative);

}  // namespace tenon::lite
