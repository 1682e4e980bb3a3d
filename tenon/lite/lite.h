// TensorFlow Lite's models as SavedModels: what `tenon` reads of a `.tflite`.
//
// Each subgraph becomes a function of TensorFlow ops (and of ours, `_Lite...`, where integers are
// computed as TensorFlow Lite does), each signature one of the SavedModel. Tensors that are
// variables, and the subgraphs that run once, are the initialisation.
#pragma once

#include "tenon/base/status.h"

namespace tenon::lite {

// A serialized SavedModel of the `.tflite` in `bytes`. INVALID_ARGUMENT where it is damaged,
// UNIMPLEMENTED where it needs an operator that is not there; both in one sentence. Thread-safe.
StatusOr<std::string> saved_model_of(std::string bytes);

}  // namespace tenon::lite
