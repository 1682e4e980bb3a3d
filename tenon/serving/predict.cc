#include "tenon/serving/predict.h"

#include <numeric>

namespace tenon::serving {
namespace {

std::set<std::string> names_of(std::span<const TensorSpec> specs) {
  std::set<std::string> names;
  for (const TensorSpec& spec : specs) names.insert(spec.name);
  return names;
}

// Those of `a` that are not in `b`.
std::vector<std::string> difference(const std::set<std::string>& a,
                                    const std::set<std::string>& b) {
  std::vector<std::string> out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

size_t index_of(const Servable& servable, const Signature& signature) {
  return static_cast<size_t>(&signature - servable.signatures().data());
}

bool has_default(const Signature& signature, size_t input) {
  return input < signature.defaults.size() && signature.defaults[input].has_value();
}

// Takes what a request does not bring from the defaults.
Status complete_inputs(const Signature& signature, std::vector<Tensor>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].has_value()) {
      if (!has_default(signature, i)) {
        std::set<std::string> given;
        for (size_t j = 0; j < inputs.size(); ++j) {
          if (inputs[j].has_value()) given.insert(signature.inputs[j].name);
        }
        return check_input_names(signature, given);
      }
      inputs[i] = signature.defaults[i];
    }
    if (inputs[i].dtype() != signature.inputs[i].dtype) {
      return invalid_argument("Expects arg[", i, "] to be ", signature.inputs[i].dtype, " but ",
                              inputs[i].dtype(), " is provided");
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status check_input_names(const Signature& signature, const std::set<std::string>& given) {
  const std::set<std::string> wanted = names_of(signature.inputs);
  std::set<std::string> required;
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    if (!has_default(signature, i)) required.insert(signature.inputs[i].name);
  }
  if (given.size() > wanted.size() || given.size() < required.size()) {
    return invalid_argument("input size does not match signature: ", given.size(),
                            "!=", wanted.size(), " len({", join(given, ","), "}) != len({",
                            join(wanted, ","), "}). Sent extra: {",
                            join(difference(given, wanted), ","), "}. Missing but required: {",
                            join(difference(required, given), ","), "}.");
  }
  if (const auto missing = difference(required, given); !missing.empty()) {
    return invalid_argument("input tensor alias ", missing[0],
                            " not found in request and no default value provided. Inputs expected "
                            "to be in the set {",
                            join(wanted, ","), "}.");
  }
  if (const auto extra = difference(given, wanted); !extra.empty()) {
    return invalid_argument("input tensor alias not found in signature: ", extra[0],
                            ". Inputs expected to be in the set {", join(wanted, ","), "}.");
  }
  return absl::OkStatus();
}

StatusOr<std::vector<int>> select_outputs(const Signature& signature,
                                          std::span<const std::string> filter) {
  std::vector<int> selected;
  if (filter.empty()) {
    selected.resize(signature.outputs.size());
    std::iota(selected.begin(), selected.end(), 0);
    return selected;
  }
  for (const std::string& alias : filter) {
    const auto output = std::find_if(signature.outputs.begin(), signature.outputs.end(),
                                     [&](const TensorSpec& spec) { return spec.name == alias; });
    if (output == signature.outputs.end()) {
      return invalid_argument("output tensor alias not found in signature: ", alias,
                              " Outputs expected to be in the set {",
                              join(names_of(signature.outputs), ","), "}.");
    }
    const int index = static_cast<int>(output - signature.outputs.begin());
    if (std::find(selected.begin(), selected.end(), index) != selected.end()) {
      return invalid_argument("duplicate output tensor alias: ", alias);
    }
    selected.push_back(index);
  }
  return selected;
}

StatusOr<std::vector<Tensor>> run_predict(const PredictionTarget& target, PredictionKind kind,
                                          const Signature& signature, std::vector<Tensor> inputs,
                                          std::span<const int> outputs, const RunLimits& limits) {
  if (Status status = complete_inputs(signature, inputs); !status.ok()) {
    note_failure(target, signature, status);
    return status;
  }
  const int64_t start = steady_microseconds();
  StatusOr<std::vector<Tensor>> results = target.servable.run(signature, inputs, outputs, limits);
  if (results.ok()) {
    note_prediction(target, kind, signature, inputs, outputs, *results, microseconds_since(start));
  } else {
    note_failure(target, signature, results.status());
  }
  return results;
}

void note_failure(const PredictionTarget& target, const Signature& signature,
                  const Status& status) {
  if (!target.served || !target.served->by_signature) return;
  target.served->by_signature->count_failure(index_of(target.servable, signature), status.code());
}

void note_prediction(const PredictionTarget& target, PredictionKind kind,
                     const Signature& signature, std::span<const Tensor> inputs,
                     std::span<const int> outputs, std::span<const Tensor> results,
                     int64_t microseconds) {
  if (!target.served) return;
  const ModelCells& cells = target.served->cells;
  Histogram& runtime = kind == PredictionKind::kPredict    ? cells.runtime_latency
                       : kind == PredictionKind::kClassify ? cells.classify_runtime
                                                           : cells.regress_runtime;
  runtime.observe(static_cast<double>(microseconds));
  if (target.served->by_signature) {
    target.served->by_signature->count_success(index_of(target.servable, signature), microseconds);
  }
  for (PredictionTap* const tap : target.served->taps) {
    tap->predicted({target.served, kind, signature, inputs, outputs, results});
  }
}

}  // namespace tenon::serving
