// One predict, whichever way it came in.
#pragma once

#include <set>

#include "tenon/serving/traffic/prediction.h"

namespace tenon::serving {

// Are the inputs that a request brings those of the signature? INVALID_ARGUMENT with TensorFlow
// Serving's texts.
Status check_input_names(const Signature& signature, const std::set<std::string>& given);

// The outputs that `filter` names, as indices; all of them when it names none. INVALID_ARGUMENT for
// one that the signature lacks, or that is named twice.
StatusOr<std::vector<int>> select_outputs(const Signature& signature,
                                          std::span<const std::string> filter);

// What is to be run: a version that is served, which counts the run and whose taps are told of it,
// or a Servable by itself, for which nobody is. Outlived by the Servable.
struct PredictionTarget {
  // Both are what a caller has, as it is.
  PredictionTarget(const Servable& by_itself) : servable(by_itself) {}  // NOLINT
  PredictionTarget(std::shared_ptr<const ServedVersion> version)        // NOLINT
      : servable(*version->servable), served(std::move(version)) {}
  const Servable& servable;
  const std::shared_ptr<const ServedVersion> served;
};

// Tells those who want to know of a prediction that took so long; nobody where none is served.
void note_prediction(const PredictionTarget& target, PredictionKind kind,
                     const Signature& signature, std::span<const Tensor> inputs,
                     std::span<const int> outputs, std::span<const Tensor> results,
                     int64_t microseconds);
// The same of one that failed.
void note_failure(const PredictionTarget& target, const Signature& signature, const Status& status);

// Runs `signature`; `inputs` in its order, those without value taken from its defaults. Checks
// dtypes: shapes are the model's affair.
StatusOr<std::vector<Tensor>> run_predict(const PredictionTarget& target, PredictionKind kind,
                                          const Signature& signature, std::vector<Tensor> inputs,
                                          std::span<const int> outputs,
                                          const RunLimits& limits = {});

}  // namespace tenon::serving
