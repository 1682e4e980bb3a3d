// Classify and Regress: signatures over tf.Examples, whichever way a request came in. The rules and
// texts are TensorFlow Serving's (servables/tensorflow/classifier.cc and regressor.cc).
#pragma once

#include "tenon/serving/predict.h"

namespace tenon::serving {

enum class InferenceMethod : uint8_t { kClassify, kRegress };

// "tensorflow/serving/classify", "tensorflow/serving/regress".
std::string_view method_name_of(InferenceMethod method);
// How metrics call it: "Classify", "Regress".
std::string_view api_name_of(InferenceMethod method);

// What a signature says of a batch of Examples.
struct InferenceResult {
  InferenceMethod method = InferenceMethod::kClassify;
  Tensor classes;  // kClassify: strings [batch, classes]; without value where only scores are given
  Tensor
      scores;  // kClassify: floats [batch, classes], may lack a value; kRegress: floats, one a row

  int64_t batch() const { return (classes.has_value() ? classes : scores).dim(0); }
  int64_t num_classes() const { return (classes.has_value() ? classes : scores).dim(1); }
  std::string_view label(int64_t row, int64_t c) const;
  float score(int64_t row, int64_t c) const;
};

// The serialized Examples of one request, each with `context` before it: in protobuf that merges
// the two. INVALID_ARGUMENT for none; RESOURCE_EXHAUSTED where a context repeated that often would
// fill the memory.
StatusOr<Tensor> examples_tensor(std::span<const std::string_view> examples,
                                 std::string_view context);

// The outputs that `method` wants of `signature`, as indices: classes before scores. Where the
// signature is none for `method`, INVALID_ARGUMENT; its method name counts only if
// `check_method_name`.
StatusOr<std::vector<int>> inference_outputs(const Signature& signature, InferenceMethod method,
                                             bool check_method_name);

// What `outputs` of `signature` say of so many Examples: `results`, one of each. INVALID_ARGUMENT
// where they do not have the form of the method.
StatusOr<InferenceResult> inference_result(const Signature& signature, InferenceMethod method,
                                           std::span<const int> outputs,
                                           std::span<const Tensor> results, int64_t batch);

PredictionKind kind_of(InferenceMethod method);

// INVALID_ARGUMENT where the one input of a signature does not take Examples.
Status check_example_input(const Signature& signature);

// Runs `outputs` of `signature` over `examples`.
StatusOr<InferenceResult> run_inference(const PredictionTarget& target, const Signature& signature,
                                        InferenceMethod method, std::span<const int> outputs,
                                        const Tensor& examples, const RunLimits& limits);

// The whole of it: looks the signature up (INVALID_ARGUMENT "No signature was found with the name:
// X") and runs it. `examples` are only looked at once the signature is known to fit; a version that
// is served counts them.
StatusOr<InferenceResult> infer(const PredictionTarget& target, std::string_view signature_name,
                                InferenceMethod method, bool check_method_name,
                                const StatusOr<Tensor>& examples, const RunLimits& limits);

}  // namespace tenon::serving
