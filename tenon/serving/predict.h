// One predict, whichever way it came in.
#pragma once

#include <set>

#include "tenon/serving/served_models.h"

namespace tenon::serving {

// Are the inputs that a request brings those of the signature? INVALID_ARGUMENT with TensorFlow
// Serving's texts.
Status check_input_names(const Signature& signature, const std::set<std::string>& given);

// The outputs that `filter` names, as indices; all of them when it names none. INVALID_ARGUMENT for
// one that the signature lacks, or that is named twice.
StatusOr<std::vector<int>> select_outputs(const Signature& signature,
                                          std::span<const std::string> filter);

// Runs `signature`; `inputs` in its order, those without value taken from its defaults. Checks
// dtypes: shapes are the model's affair. The time it takes goes to `runtime_latency` (microseconds)
// where that is given.
StatusOr<std::vector<Tensor>> run_predict(const Servable& servable, const Signature& signature,
                                          std::vector<Tensor> inputs, std::span<const int> outputs,
                                          Histogram* runtime_latency, const RunLimits& limits = {});

}  // namespace tenon::serving
