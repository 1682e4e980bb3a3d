// For tests of the Open Inference Protocol: a model that gives back what it is given, of every
// datatype, without an engine.
#pragma once

#include "tenon/serving/open_inference/datatype.h"
#include "tenon/serving/served_models.h"

namespace tenon::serving {

// Signature "serving_default" has x (FP32, [-1, 2]); each other signature is named by a datatype
// and has one input and one output of it, both named "v", of shape [-1].
class MirrorServable final : public Servable {
 public:
  MirrorServable() {
    add("serving_default", {"x", DType::kFloat, PartialShape({-1, 2})});
    for (const char* name : {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16",
                             "INT32", "INT64", "FP16", "FP32", "FP64", "BF16", "BYTES"}) {
      add(name, {"v", *parse_datatype(name), PartialShape({-1})});
    }
  }
  const std::vector<Signature>& signatures() const override { return signatures_; }
  std::string signature_def_map() const override { return {}; }
  StatusOr<std::vector<Tensor>> run(const Signature&, std::span<const Tensor> inputs,
                                    std::span<const int>, const RunLimits&) const override {
    return std::vector<Tensor>(inputs.begin(), inputs.end());
  }

 private:
  void add(const char* name, TensorSpec spec) {
    signatures_.push_back({name, "tensorflow/serving/predict", {spec}, {spec}, {}});
  }
  std::vector<Signature> signatures_;
};

// Model "mirror", versions 1 and 2 in the folder `base_path`, of which the newer is served.
inline std::unique_ptr<ServedModels> serve_mirror(MetricRegistry& metrics,
                                                  const std::string& base_path) {
  ServedModelsOptions options;
  options.metrics = &metrics;
  options.load = [](const std::string&, int64_t, const std::string&) {
    return std::make_shared<const MirrorServable>();
  };
  ModelConfig config;
  config.name = "mirror";
  config.base_path = base_path;
  auto models = ServedModels::start(options, {config});
  return models.ok() ? *std::move(models) : nullptr;
}

}  // namespace tenon::serving
