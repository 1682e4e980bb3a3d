// Outside truth: protobuf reads what is written and writes what is read; the texts are TensorFlow
// Serving's (servables/tensorflow/classifier.cc, regressor.cc, multi_inference.cc).
#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/serving/inference/inference_service.h"
#include "tenon/serving/json/json_examples.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow_serving/apis/classification.pb.h"
#include "tensorflow_serving/apis/inference.pb.h"
#include "tensorflow_serving/apis/regression.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

// What its signatures give for n examples: any tensors that a test asks for, or the sum of the
// feature x of each example.
class ExamplesServable final : public Servable {
 public:
  void add(const std::string& name, const std::string& method,
           const std::vector<std::pair<std::string, Tensor>>& outputs,
           const std::string& input = "inputs") {
    Signature& signature = signatures_.emplace_back();
    signature.name = name;
    signature.method_name = cat("tensorflow/serving/", method);
    signature.inputs = {{input, DType::kString, {}}};
    for (const auto& [output, value] : outputs) {
      signature.outputs.push_back({output, value.dtype(), {}});
      values_[name].push_back(value);
    }
  }
  const std::vector<Signature>& signatures() const override { return signatures_; }
  std::string signature_def_map() const override { return ""; }
  StatusOr<std::vector<Tensor>> run(const Signature& signature, std::span<const Tensor> inputs,
                                    std::span<const int> outputs, const RunLimits&) const override {
    std::vector<Tensor> results;
    for (const int output : outputs) {
      const Tensor& value = values_.at(signature.name)[static_cast<size_t>(output)];
      if (value.has_value()) {
        results.push_back(value);
        continue;
      }
      TENON_ASSIGN_OR_RETURN(Tensor sum, sums(inputs[0]));
      results.push_back(std::move(sum));
    }
    return results;
  }

 private:
  static StatusOr<Tensor> sums(const Tensor& examples) {
    Tensor out(DType::kFloat, Shape({examples.dim(0)}));
    for (int64_t i = 0; i < examples.dim(0); ++i) {
      tensorflow::Example example;
      if (!example.ParseFromString(std::string(examples.data<std::string_view>()[i]))) {
        return invalid_argument("no Example");
      }
      const auto& feature = (*example.mutable_features()->mutable_feature())["x"];
      float sum = 0;
      for (const float value : feature.float_list().value()) sum += value;
      out.mutable_data<float>()[i] = sum;
    }
    return out;
  }

  std::vector<Signature> signatures_;
  std::map<std::string, std::vector<Tensor>> values_;
};

Tensor strings(const Shape& shape, const std::vector<std::string>& values) {
  StringTensorBuilder builder(shape);
  for (size_t i = 0; i < values.size(); ++i) builder.set(static_cast<int64_t>(i), values[i]);
  return std::move(builder).build();
}

Tensor counting_floats(const Shape& shape, float first) {
  Tensor tensor(DType::kFloat, shape);
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    tensor.mutable_data<float>()[i] = first + static_cast<float>(i);
  }
  return tensor;
}

class InferenceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto servable = std::make_shared<ExamplesServable>();
    const Tensor labels = strings(Shape({2, 2}), {"a", "", "\xc3\xa9", "d"});
    servable->add("both", "classify",
                  {{"classes", labels}, {"scores", counting_floats(Shape({2, 2}), 0)}});
    servable->add("labels", "classify", {{"classes", labels}});
    servable->add("wide", "classify",
                  {{"classes", labels}, {"scores", counting_floats(Shape({2, 3}), 0)}});
    servable->add("flat", "classify", {{"scores", counting_floats(Shape({2}), 0)}});
    servable->add("short", "classify", {{"scores", counting_floats(Shape({1, 2}), 0)}});
    servable->add("ints", "classify", {{"scores", Tensor(DType::kInt64, Shape({2, 2}))}});
    servable->add("named", "classify", {{"probs", counting_floats(Shape({2, 2}), 0)}});
    servable->add("fed", "classify", {{"scores", counting_floats(Shape({2, 2}), 0)}}, "examples");
    servable->add("serving_default", "regress", {{"outputs", Tensor()}});
    servable->add("column", "regress", {{"outputs", counting_floats(Shape({2, 1}), 5)}});
    servable->add("row", "regress", {{"outputs", counting_floats(Shape({2, 2}), 5)}});
    servable->add("one", "regress", {{"outputs", counting_floats(Shape({1}), 5)}});
    servable->add("whole", "regress", {{"outputs", Tensor(DType::kInt32, Shape({2}))}});
    ServedModelsOptions options;
    options.metrics = &metrics_;
    options.load = [servable](const std::string&, int64_t, const std::string&) { return servable; };
    folder_ = *TemporaryDirectory::create();
    ASSERT_TRUE(create_directories(join_path(folder_->path(), "7")).ok());
    auto models = ServedModels::start(options, {{"m", folder_->path(), {}, {}}});
    ASSERT_TRUE(models.ok()) << models.status();
    models_ = *std::move(models);
    requests_.emplace(metrics_);
  }

  static void set_input(int examples, tfs::Input& input) {
    for (int i = 0; i < examples; ++i) {
      tensorflow::Example& example = *input.mutable_example_list()->add_examples();
      auto& list = *(*example.mutable_features()->mutable_feature())["x"].mutable_float_list();
      list.add_value(static_cast<float>(i));
      list.add_value(0.5F);
    }
  }
  template <class Request>
  static Request request(const std::string& signature, int examples = 2) {
    Request request;
    request.mutable_model_spec()->set_name("m");
    request.mutable_model_spec()->set_signature_name(signature);
    set_input(examples, *request.mutable_input());
    return request;
  }
  InferenceService service(bool check = false) { return {*models_, *requests_, check}; }
  std::string classify_error(const std::string& signature, bool check = false) {
    std::string response;
    const Status status =
        classify(service(check), request<tfs::ClassificationRequest>(signature).SerializeAsString(),
                 {}, &response);
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument) << status;
    return std::string(message_of(status));
  }
  std::string regress_error(const std::string& signature, bool check = false) {
    std::string response;
    const Status status =
        regress(service(check), request<tfs::RegressionRequest>(signature).SerializeAsString(), {},
                &response);
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument) << status;
    return std::string(message_of(status));
  }

  MetricRegistry metrics_;
  std::optional<TemporaryDirectory> folder_;
  std::unique_ptr<ServedModels> models_;
  std::optional<RequestMetrics> requests_;
};

TEST_F(InferenceTest, ClassesAndScoresStandSideBySide) {
  std::string bytes;
  ASSERT_TRUE(classify(service(), request<tfs::ClassificationRequest>("both").SerializeAsString(),
                       {}, &bytes)
                  .ok());
  tfs::ClassificationResponse response;
  ASSERT_TRUE(response.ParseFromString(bytes));
  EXPECT_EQ(response.model_spec().name(), "m");
  EXPECT_EQ(response.model_spec().version().value(), 7);
  EXPECT_EQ(response.model_spec().signature_name(), "both");
  ASSERT_EQ(response.result().classifications_size(), 2);
  EXPECT_EQ(response.result().classifications(1).classes(0).label(), "\xc3\xa9");
  EXPECT_EQ(response.result().classifications(1).classes(1).score(), 3);
  EXPECT_EQ(response.SerializeAsString(), bytes);
}

TEST_F(InferenceTest, ContextsAreMergedIntoEveryExample) {
  tfs::RegressionRequest request;
  request.mutable_model_spec()->set_name("m");
  auto& list = *request.mutable_input()->mutable_example_list_with_context();
  auto& features = *list.mutable_context()->mutable_features()->mutable_feature();
  features["x"].mutable_float_list()->add_value(4);
  list.add_examples();
  auto& own = *list.add_examples()->mutable_features()->mutable_feature();
  own["x"].mutable_float_list()->add_value(1);
  std::string bytes;
  ASSERT_TRUE(regress(service(), request.SerializeAsString(), {}, &bytes).ok());
  tfs::RegressionResponse response;
  ASSERT_TRUE(response.ParseFromString(bytes));
  ASSERT_EQ(response.result().regressions_size(), 2);
  EXPECT_EQ(response.result().regressions(0).value(), 4);
  EXPECT_EQ(response.result().regressions(1).value(), 1);
  EXPECT_EQ(response.model_spec().signature_name(), "serving_default");
}

TEST_F(InferenceTest, AContextThatWouldFillTheMemoryIsRefused) {
  const std::string context(1 << 20, 'c');
  const std::vector<std::string_view> examples(4096);
  EXPECT_EQ(examples_tensor(examples, context).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(InferenceTest, ResultsOfTheWrongFormAreErrors) {
  EXPECT_EQ(classify_error("both"), "");
  EXPECT_EQ(classify_error("wide"),
            "Tensors class and score should match in dim_size(1). Got 2 vs. 3");
  EXPECT_EQ(classify_error("flat"), "Expected Tensor shape: [batch_size num_classes] but got [2]");
  EXPECT_EQ(classify_error("short"), "Expected scores output batch size of 2. Got: 1");
  EXPECT_EQ(classify_error("ints"), "Expected scores Tensor of DT_FLOAT. Got: DT_INT64");
  EXPECT_EQ(regress_error("column"), "");
  EXPECT_EQ(regress_error("row"),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            "[2,2]");
  EXPECT_EQ(regress_error("one"), "Input batch size did not match output batch size: 2 vs. 1");
  EXPECT_EQ(regress_error("whole"), "Expected output Tensor of DT_FLOAT.  Got: DT_INT32");
}

TEST_F(InferenceTest, SignaturesOfTheWrongFormAreErrors) {
  EXPECT_EQ(classify_error("nope"), "No signature was found with the name: nope");
  EXPECT_TRUE(classify_error("named").starts_with(
      "Expected classification signature outputs to contain at least one of \"classes\" or "
      "\"scores\". Signature was: "));
  EXPECT_TRUE(
      classify_error("fed").starts_with("No classification inputs found in SignatureDef: "));
  EXPECT_TRUE(regress_error("labels").starts_with("No regression outputs found in SignatureDef: "));
  EXPECT_EQ(regress_error("both"), "Expected one output Tensor.");
  EXPECT_EQ(classify_error("both", true), "");
  EXPECT_EQ(classify_error("column", true),
            "Expected classification signature method_name to be tensorflow/serving/classify. Was: "
            "tensorflow/serving/regress");
  EXPECT_EQ(regress_error("labels", true),
            "Expected regression signature method_name to be tensorflow/serving/regress. Was: "
            "tensorflow/serving/classify");
}

TEST_F(InferenceTest, RequestsWithoutModelOrInputAreErrors) {
  std::string response;
  EXPECT_EQ(message_of(classify(service(), "", {}, &response)), "Missing ModelSpec");
  tfs::RegressionRequest none = request<tfs::RegressionRequest>("serving_default", 0);
  EXPECT_EQ(message_of(regress(service(), none.SerializeAsString(), {}, &response)),
            "Input is empty.");
  none.mutable_model_spec()->set_version_label("stable");
  EXPECT_EQ(message_of(regress(service(), none.SerializeAsString(), {}, &response)),
            "Unrecognized servable version label: stable");
  none.mutable_model_spec()->mutable_version()->set_value(-3);
  EXPECT_EQ(message_of(regress(service(), none.SerializeAsString(), {}, &response)),
            "Servable not found for request: Specific(m, -3)");
  EXPECT_EQ(response, "");
}

// Every prefix of a request, and every request with one byte changed, is answered.
TEST_F(InferenceTest, HostileBytesAreAnswered) {
  tfs::MultiInferenceRequest multi;
  multi.add_tasks()->mutable_model_spec()->set_name("m");
  multi.mutable_tasks(0)->set_method_name("tensorflow/serving/regress");
  set_input(1, *multi.mutable_input());
  std::string response;
  for (const std::string& bytes :
       {multi.SerializeAsString(),
        request<tfs::RegressionRequest>("column", 1).SerializeAsString()}) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ 0xa5);
      for (const std::string& hostile : {bytes.substr(0, i), changed}) {
        (void)regress(service(), hostile, {}, &response);
        (void)classify(service(), hostile, {}, &response);
        (void)multi_inference(service(), hostile, {}, &response);
      }
    }
  }
  tfs::RegressionRequest request;
  request.mutable_model_spec()->set_name("m?");
  std::string bytes = request.SerializeAsString();
  bytes.back() = '\xff';  // protobuf takes no string that is not UTF-8
  EXPECT_EQ(regress(service(), bytes, {}, &response).code(), absl::StatusCode::kInternal);
}

TEST_F(InferenceTest, MultiInferenceAnswersEachTask) {
  tfs::MultiInferenceRequest request;
  for (const char* method : {"regress", "classify"}) {
    tfs::InferenceTask& task = *request.add_tasks();
    task.mutable_model_spec()->set_name("m");
    task.set_method_name(cat("tensorflow/serving/", method));
  }
  request.mutable_tasks(1)->mutable_model_spec()->set_signature_name("both");
  set_input(2, *request.mutable_input());
  std::string bytes;
  ASSERT_TRUE(multi_inference(service(), request.SerializeAsString(), {}, &bytes).ok());
  tfs::MultiInferenceResponse response;
  ASSERT_TRUE(response.ParseFromString(bytes));
  ASSERT_EQ(response.results_size(), 2);
  EXPECT_EQ(response.results(0).regression_result().regressions(1).value(), 1.5);
  EXPECT_EQ(response.results(0).model_spec().signature_name(), "serving_default");
  EXPECT_EQ(response.results(1).classification_result().classifications(0).classes(0).label(), "a");
  EXPECT_EQ(response.results(1).model_spec().version().value(), 7);
  EXPECT_EQ(response.SerializeAsString(), bytes);
}

TEST_F(InferenceTest, MultiInferenceSaysWhichTaskIsImpossible) {
  const auto error = [&](const std::string& name, const std::string& signature,
                         const std::string& method) {
    tfs::MultiInferenceRequest request;
    request.add_tasks()->mutable_model_spec()->set_name("m");
    request.mutable_tasks(0)->set_method_name("tensorflow/serving/regress");
    tfs::InferenceTask& task = *request.add_tasks();
    task.mutable_model_spec()->set_name(name);
    task.mutable_model_spec()->set_signature_name(signature);
    task.set_method_name(method);
    std::string response;
    return multi_inference(service(), request.SerializeAsString(), {}, &response);
  };
  EXPECT_EQ(message_of(error("", "both", "")), "Found ModelSpec with an empty model name.");
  EXPECT_EQ(message_of(error("n", "both", "")),
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.");
  EXPECT_EQ(message_of(error("m", "serving_default", "")),
            "Duplicate evaluation of signature: serving_default");
  EXPECT_EQ(message_of(error("m", "nope", "")),
            "Requested signature not found in model graph: nope");
  EXPECT_EQ(error("m", "both", "other"), unimplemented("Unsupported signature method_name: other"));
  EXPECT_EQ(message_of(error("m", "both", "tensorflow/serving/classify")), "Input is empty.");
  std::string response;
  EXPECT_EQ(message_of(multi_inference(service(), "", {}, &response)),
            "ModelSpec has no name specified.");
}

TEST_F(InferenceTest, ExamplesAndRunsAreCounted) {
  regress_error("serving_default");
  regress_error("nope");
  EXPECT_EQ(metrics_.counter("/tensorflow/serving/request_example_count_total", {"model"})
                .cell({"m"})
                .value(),
            2);
  auto& count = metrics_.counter("/tensorflow/serving/request_count", {"model_name", "status"});
  EXPECT_EQ(count.cell({"m", "OK"}).value(), 1);
  EXPECT_EQ(count.cell({"m", "INVALID_ARGUMENT"}).value(), 1);
}

TEST(JsonExamplesTest, FeaturesTakeTheKindOfTheirValues) {
  const auto request = parse_examples_request(
      R"({"examples": [{"b": ["x", {"b64": "aGVsbG8="}], "i": [-1, true], "f": [1.5, NaN, -1e40],
           "e": [], "d": 1, "d": 2.0}], "context": {"c": "y"}, "signature_name": "s"})");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->signature_name, "s");
  tensorflow::Example example;
  ASSERT_TRUE(example.ParseFromString(std::string(request->examples.data<std::string_view>()[0])));
  const auto& features = example.features().feature();
  EXPECT_EQ(features.at("b").bytes_list().value(1), "hello");
  EXPECT_EQ(features.at("c").bytes_list().value(0), "y");
  EXPECT_EQ(features.at("i").int64_list().value(0), -1);
  EXPECT_EQ(features.at("i").int64_list().value(1), 1);
  EXPECT_EQ(features.at("f").float_list().value(0), 1.5F);
  EXPECT_TRUE(std::isnan(features.at("f").float_list().value(1)));
  EXPECT_TRUE(std::isinf(features.at("f").float_list().value(2)));
  EXPECT_EQ(features.at("e").kind_case(), tensorflow::Feature::KIND_NOT_SET);
  EXPECT_EQ(features.at("d").float_list().value(0), 2);
}

TEST(JsonExamplesTest, TextsAreTensorFlowServings) {
  const std::pair<const char*, const char*> rows[] = {
      {"[]", "JSON Value: [] Is not object"},
      {"{\"examples\": 1}", "Expecting 'examples' value to be an list/array"},
      {"{\"examples\": []}", "'examples' value is an empty array"},
      {"{\"examples\": [1]}", "Example must be JSON object but got JSON Number"},
      {"{\"context\": [], \"examples\": [{}]}", "Example must be JSON object but got JSON Array"},
      {"{}", "When method is classify, key 'examples' is expected and was not found"},
      {"{\"signature_name\": 1}", "'signature_name' key must be a string value."},
      {"{\"examples\": [{\"a\": [[1]]}]}",
       "Feature: a has element with unexpected JSON type: Array"},
      {"{\"examples\": [{\"a\": {\"b64\": 1}}]}",
       "Feature: a has element with unexpected JSON type: Object"},
      {"{\"examples\": [{\"a\": {\"b64\": \"?\"}}]}", "Unable to base64 decode"},
      {"{\"examples\": [{\"a\": 9223372036854775808}]}",
       "Feature: a has uint64_t element. Only int64_t is supported."},
      {"{\"examples\": [{\"a\": [1.0, 1]}]}",
       "Unexpected element type in feature: a expecting type: float"},
      {"{\"examples\": [{\"a\": [\"s\", false]}]}",
       "Unexpected element type in feature: a expecting type: bytes"},
      {"{", "JSON Parse error: Missing a name for object member. at offset: 1"},
  };
  for (const auto& [body, text] : rows) {
    const Status status = parse_examples_request(body).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << body;
    EXPECT_NE(message_of(status).find(text), std::string::npos) << body << ": " << status;
  }
}

// The layout that serving's own tests and documentation show.
TEST(JsonExamplesTest, AnswersAreLaidOutAsRapidJsonDoes) {
  InferenceResult classes;
  classes.scores = counting_floats(Shape({2, 1}), 3);
  EXPECT_EQ(write_inference_response(classes),
            "{\n    \"results\": [[[\"\", 3.0]], [[\"\", 4.0]]\n    ]\n}");
  InferenceResult values;
  values.method = InferenceMethod::kRegress;
  values.scores = counting_floats(Shape({2}), 3);
  EXPECT_EQ(write_inference_response(values), "{\n    \"results\": [3.0, 4.0]\n}");
}

}  // namespace
}  // namespace tenon::serving
