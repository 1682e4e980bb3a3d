// What is known of a prediction that has been made, for whoever looks on.
#pragma once

#include "tenon/serving/served_models.h"

namespace tenon::serving {

enum class PredictionKind : uint8_t { kPredict, kClassify, kRegress };

// Views of what the request's thread holds.
struct PredictionView {
  const std::shared_ptr<const ServedVersion>& served;
  PredictionKind kind;
  const Signature& signature;      // of served->servable
  std::span<const Tensor> inputs;  // in the order of signature.inputs
  std::span<const int> outputs;    // indices into signature.outputs
  std::span<const Tensor> results;
};

// The same, held; the tensors share their memory with those of the request.
struct Prediction {
  explicit Prediction(const PredictionView& view)
      : served(view.served),
        kind(view.kind),
        signature(&view.signature),
        inputs(view.inputs.begin(), view.inputs.end()),
        outputs(view.outputs.begin(), view.outputs.end()),
        results(view.results.begin(), view.results.end()) {}

  std::shared_ptr<const ServedVersion> served;
  PredictionKind kind;
  const Signature* signature;
  std::vector<Tensor> inputs;
  std::vector<int> outputs;
  std::vector<Tensor> results;
};

// What holding it costs, about.
size_t bytes_of(const PredictionView& prediction);

// Told of each prediction of a version that is served, once it has been made and before it is
// answered. Thread-safe; takes no time, and cannot fail.
class PredictionTap {
 public:
  virtual ~PredictionTap() = default;
  virtual void predicted(const PredictionView& prediction) = 0;
};

}  // namespace tenon::serving
