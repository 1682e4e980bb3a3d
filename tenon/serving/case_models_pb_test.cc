#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/ops/register_all.h"
#include "tenon/serving/case_models.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"
#include "tensorflow_serving/apis/get_model_metadata.pb.h"

namespace tenon::serving {
namespace {

std::vector<TensorSpec> specs_of(
    const google::protobuf::Map<std::string, tensorflow::TensorInfo>& infos) {
  std::vector<TensorSpec> specs;
  for (const auto& [name, info] : infos) {
    specs.push_back({name, *dtype_from_enum(info.dtype()), {}});
  }
  std::sort(specs.begin(), specs.end(),
            [](const TensorSpec& a, const TensorSpec& b) { return a.name < b.name; });
  return specs;
}

Tensor affine(const Tensor& x, float scale, float shift) {
  Tensor y(DType::kFloat, x.shape());
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    y.mutable_data<float>()[i] = scale * x.data<float>()[i] + shift;
  }
  return y;
}

class CaseServable final : public Servable {
 public:
  CaseServable(int64_t version, const std::string& path) : path_(path), version_(version) {
    tensorflow::SavedModel saved;
    EXPECT_TRUE(saved.ParseFromString(*read_file(join_path(path, "saved_model.pb"))));
    for (const auto& [name, def] : saved.meta_graphs(0).signature_def()) {
      if (!name.starts_with("__")) {
        signatures_.push_back(
            {name, def.method_name(), specs_of(def.inputs()), specs_of(def.outputs()), {}});
      }
      (*map_.mutable_signature_def())[name] = def;
    }
  }
  const std::vector<Signature>& signatures() const override { return signatures_; }
  std::string signature_def_map() const override { return map_.SerializeAsString(); }
  StatusOr<std::vector<Tensor>> run(const Signature& signature, std::span<const Tensor> inputs,
                                    std::span<const int> outputs, const RunLimits&) const override {
    if (!inputs.empty() && inputs[0].dtype() == DType::kString && !is("/echo/")) {
      return unimplemented("fed ", inputs[0].num_elements(), " examples");
    }
    const std::vector<Tensor> all = run_all(signature, inputs);
    std::vector<Tensor> selected;
    for (const int output : outputs) selected.push_back(all[static_cast<size_t>(output)]);
    return selected;
  }

 private:
  bool is(std::string_view model) const { return path_.find(model) != std::string::npos; }

  std::vector<Tensor> run_all(const Signature& signature, std::span<const Tensor> inputs) const {
    if (is("/scale/")) return {affine(inputs[0], static_cast<float>(version_), 0)};
    if (is("/half_plus_three/")) return {affine(inputs[0], 0.5F, 3)};
    if (!is("/echo/")) return {affine(inputs[0], 0.5F, 2)};
    if (signature.name != "pair") return {inputs.begin(), inputs.end()};
    const Tensor& a = inputs[0];
    Tensor sum = affine(inputs[1], 1, 0);
    for (int64_t i = 0; i < a.num_elements(); ++i) {
      sum.mutable_data<float>()[i / a.dim(1)] += a.data<float>()[i];
    }
    return {affine(a, 2, 0), sum};  // a2, sum
  }

  const std::string path_;
  const int64_t version_;
  std::vector<Signature> signatures_;
  tensorflow::serving::SignatureDefMap map_;
};

}  // namespace

const Status& register_case_ops() {
  static const Status registered = register_all_ops(OpRegistry::global());
  return registered;
}

const std::string& cases_folder() {
  static const std::string folder = TENON_SOURCE_DIR "/../shared/cases/serving";
  return folder;
}

std::shared_ptr<const Servable> case_servable(const std::string& model, int64_t version) {
  return std::make_shared<CaseServable>(version,
                                        cat(cases_folder(), "/models/", model, "/", version));
}

std::unique_ptr<ServedModels> serve_case_models(MetricRegistry& metrics) {
  ServedModelsOptions options;
  options.metrics = &metrics;
  options.poll_interval = std::chrono::milliseconds(50);
  options.allow_labels_for_unavailable = true;
  options.load = [](const std::string&, int64_t version, const std::string& path) {
    return std::make_shared<CaseServable>(version, path);
  };
  std::vector<ModelConfig> configs;
  for (const char* name :
       {"half_plus_two", "half_plus_three", "half_plus_two_tf2", "scale", "echo", "examples"}) {
    configs.push_back({name, cat(cases_folder(), "/models/", name), {}, {}});
  }
  configs[3].policy = {VersionPolicy::Kind::kSpecific, 1, {1, 3}};
  configs[3].labels = {{"stable", 1}, {"canary", 3}};
  auto models = ServedModels::start(options, configs);
  EXPECT_TRUE(models.ok()) << models.status();
  return models.ok() ? *std::move(models) : nullptr;
}

}  // namespace tenon::serving
