#include "tenon/serving/inference/inference.h"

#include "tenon/serving/predict.h"

namespace tenon::serving {
namespace {

constexpr std::string_view kInputs = "inputs";
constexpr std::string_view kOutputs = "outputs";
constexpr std::string_view kClasses = "classes";
constexpr std::string_view kScores = "scores";

// All Examples of a request together, contexts included.
constexpr size_t kMostExampleBytes = size_t{1} << 30;

std::optional<int> output_named(const Signature& signature, std::string_view name) {
  for (size_t i = 0; i < signature.outputs.size(); ++i) {
    if (signature.outputs[i].name == name) return static_cast<int>(i);
  }
  return std::nullopt;
}

std::string description(const Signature& signature) {
  const auto names = [](const std::vector<TensorSpec>& specs) {
    std::vector<std::string_view> list;
    for (const TensorSpec& spec : specs) list.push_back(spec.name);
    return join(list, ", ");
  };
  return cat("inputs {", names(signature.inputs), "} outputs {", names(signature.outputs),
             "} method_name: \"", signature.method_name, "\"");
}

Status check_method(const Signature& signature, InferenceMethod method) {
  if (signature.method_name == method_name_of(method)) return absl::OkStatus();
  return invalid_argument(
      "Expected ", method == InferenceMethod::kClassify ? "classification" : "regression",
      " signature method_name to be ", method_name_of(method), ". Was: ", signature.method_name);
}

StatusOr<std::vector<int>> classification_outputs(const Signature& signature) {
  if (signature.outputs.size() != 1 && signature.outputs.size() != 2) {
    return invalid_argument("Expected one or two output Tensors, found ", signature.outputs.size());
  }
  if (signature.inputs[0].name != kInputs) {
    return invalid_argument("No classification inputs found in SignatureDef: ",
                            description(signature));
  }
  std::vector<int> outputs;
  for (const std::string_view name : {kClasses, kScores}) {
    if (const auto output = output_named(signature, name)) outputs.push_back(*output);
  }
  if (!outputs.empty()) return outputs;
  return invalid_argument("Expected classification signature outputs to contain at least one of \"",
                          kClasses, "\" or \"", kScores,
                          "\". Signature was: ", description(signature));
}

StatusOr<std::vector<int>> regression_outputs(const Signature& signature) {
  if (signature.outputs.size() != 1) return invalid_argument("Expected one output Tensor.");
  if (signature.inputs[0].name != kInputs) {
    return invalid_argument("No regression inputs found in SignatureDef: ", description(signature));
  }
  if (signature.outputs[0].name != kOutputs) {
    return invalid_argument("No regression outputs found in SignatureDef: ",
                            description(signature));
  }
  return std::vector<int>{0};
}

// `which`: "classes" or "scores".
Status check_class_tensor(const Tensor& tensor, std::string_view which, DType dtype,
                          int64_t batch) {
  if (!tensor.has_value()) return absl::OkStatus();
  if (tensor.rank() != 2) {
    return invalid_argument("Expected Tensor shape: [batch_size num_classes] but got ",
                            tensor.shape());
  }
  if (tensor.dtype() != dtype) {
    return invalid_argument("Expected ", which, " Tensor of ", info(dtype).enum_name,
                            ". Got: ", info(tensor.dtype()).enum_name);
  }
  if (tensor.dim(0) != batch) {
    return invalid_argument("Expected ", which, " output batch size of ", batch,
                            ". Got: ", tensor.dim(0));
  }
  return absl::OkStatus();
}

Status check_classification(const InferenceResult& result, int64_t batch) {
  const Tensor& classes = result.classes;
  const Tensor& scores = result.scores;
  TENON_RETURN_IF_ERROR(check_class_tensor(classes, kClasses, DType::kString, batch));
  TENON_RETURN_IF_ERROR(check_class_tensor(scores, kScores, DType::kFloat, batch));
  if (classes.has_value() && scores.has_value() && classes.dim(1) != scores.dim(1)) {
    return invalid_argument("Tensors class and score should match in dim_size(1). Got ",
                            classes.dim(1), " vs. ", scores.dim(1));
  }
  return absl::OkStatus();
}

Status check_regression(const Tensor& values, int64_t batch) {
  if (values.rank() != 1 && !(values.rank() == 2 && values.dim(1) == 1)) {
    return invalid_argument(
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got ",
        values.shape());
  }
  if (values.dim(0) != batch) {
    return invalid_argument("Input batch size did not match output batch size: ", batch, " vs. ",
                            values.dim(0));
  }
  if (values.dtype() != DType::kFloat) {
    return invalid_argument("Expected output Tensor of DT_FLOAT.  Got: ",
                            info(values.dtype()).enum_name);
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view method_name_of(InferenceMethod method) {
  return method == InferenceMethod::kClassify ? "tensorflow/serving/classify"
                                              : "tensorflow/serving/regress";
}

std::string_view api_name_of(InferenceMethod method) {
  return method == InferenceMethod::kClassify ? "Classify" : "Regress";
}

std::string_view InferenceResult::label(int64_t row, int64_t c) const {
  if (!classes.has_value()) return {};
  return classes.data<std::string_view>()[row * classes.dim(1) + c];
}

float InferenceResult::score(int64_t row, int64_t c) const {
  if (!scores.has_value()) return 0;
  return scores.data<float>()[method == InferenceMethod::kRegress ? row : row * scores.dim(1) + c];
}

StatusOr<Tensor> examples_tensor(std::span<const std::string_view> examples,
                                 std::string_view context) {
  if (examples.empty()) return invalid_argument("Input is empty.");
  size_t bytes = 0;
  for (const std::string_view example : examples) {
    bytes += context.size() + example.size();
    if (bytes <= kMostExampleBytes) continue;
    return resource_exhausted(examples.size(), " examples with a context of ", context.size(),
                              " bytes each exceed ", kMostExampleBytes, " bytes in all");
  }
  StringTensorBuilder builder(Shape({static_cast<int64_t>(examples.size())}));
  std::string whole;
  for (size_t i = 0; i < examples.size(); ++i) {
    whole.assign(context);
    whole += examples[i];
    builder.set(static_cast<int64_t>(i), whole);
  }
  return std::move(builder).build();
}

StatusOr<std::vector<int>> inference_outputs(const Signature& signature, InferenceMethod method,
                                             bool check_method_name) {
  if (check_method_name) TENON_RETURN_IF_ERROR(check_method(signature, method));
  if (signature.inputs.size() != 1) return invalid_argument("Expected one input Tensor.");
  return method == InferenceMethod::kClassify ? classification_outputs(signature)
                                              : regression_outputs(signature);
}

StatusOr<InferenceResult> inference_result(const Signature& signature, InferenceMethod method,
                                           std::span<const int> outputs,
                                           std::span<const Tensor> results, int64_t batch) {
  InferenceResult result;
  result.method = method;
  if (method == InferenceMethod::kRegress) {
    TENON_RETURN_IF_ERROR(check_regression(results[0], batch));
    result.scores = results[0];
    return result;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string& name = signature.outputs[static_cast<size_t>(outputs[i])].name;
    (name == kClasses ? result.classes : result.scores) = results[i];
  }
  TENON_RETURN_IF_ERROR(check_classification(result, batch));
  return result;
}

PredictionKind kind_of(InferenceMethod method) {
  return method == InferenceMethod::kClassify ? PredictionKind::kClassify
                                              : PredictionKind::kRegress;
}

Status check_example_input(const Signature& signature) {
  if (signature.inputs[0].dtype == DType::kString) return absl::OkStatus();
  return invalid_argument("Expects arg[0] to be ", signature.inputs[0].dtype, " but ",
                          DType::kString, " is provided");
}

StatusOr<InferenceResult> run_inference(const PredictionTarget& target, const Signature& signature,
                                        InferenceMethod method, std::span<const int> outputs,
                                        const Tensor& examples, const RunLimits& limits) {
  TENON_ASSIGN_OR_RETURN(
      const std::vector<Tensor> results,
      run_predict(target, kind_of(method), signature, {examples}, outputs, limits));
  return inference_result(signature, method, outputs, results, examples.dim(0));
}

StatusOr<InferenceResult> infer(const PredictionTarget& target, std::string_view signature_name,
                                InferenceMethod method, bool check_method_name,
                                const StatusOr<Tensor>& examples, const RunLimits& limits) {
  const Signature* signature = find_signature(target.servable, signature_name);
  if (signature == nullptr) {
    return invalid_argument("No signature was found with the name: ",
                            signature_name.empty() ? kDefaultSignature : signature_name);
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<int> outputs,
                         inference_outputs(*signature, method, check_method_name));
  TENON_RETURN_IF_ERROR(examples.status());
  StatusOr<InferenceResult> result =
      run_inference(target, *signature, method, outputs, *examples, limits);
  if (result.ok() && target.served) target.served->cells.count_examples(examples->dim(0));
  return result;
}

}  // namespace tenon::serving
