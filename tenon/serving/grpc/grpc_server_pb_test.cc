// Outside truth: shared/cases/serving/grpc_cases.json, what TensorFlow Serving answers, asked over
// a real connection.
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tenon/base/files.h"
#include "tenon/core/tensor_message.h"
#include "tenon/serving/case_models.h"
#include "tenon/serving/grpc/grpc_server.h"
#include "tenon/serving/grpc/prediction_service.h"
#include "tenon/serving/grpc/tensor_to_proto.h"
#include "tensorflow_serving/apis/model_service.grpc.pb.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;
using nlohmann::json;

class GrpcServerTest : public testing::Test {
 protected:
  void SetUp() override {
    models_ = serve_case_models(metrics_);
    ASSERT_NE(models_, nullptr);
    GrpcOptions options;
    options.port = 0;
    options.metrics = &metrics_;
    auto server = GrpcServer::start(*models_, options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ =
        grpc::CreateChannel(cat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials());
    prediction_ = tfs::PredictionService::NewStub(channel_);
    model_ = tfs::ModelService::NewStub(channel_);
  }

  MetricRegistry metrics_;
  std::unique_ptr<ServedModels> models_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<tfs::PredictionService::Stub> prediction_;
  std::unique_ptr<tfs::ModelService::Stub> model_;
};

template <class Message>
Message message_of_case(const json& test) {
  std::string text = test["request"].dump();
  const std::string models = cases_folder() + "/models";
  for (size_t at = 0; (at = text.find("${MODELS}")) != std::string::npos;) {
    text.replace(at, 9, models);
  }
  Message message;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(text, &message).ok()) << text;
  return message;
}

// Does `got` hold all that `want` says? Numbers may be written as strings, as protobuf does.
bool holds(const json& want, const json& got) {
  if (want.is_object()) {
    for (const auto& [key, value] : want.items()) {
      if (!got.contains(key) || !holds(value, got[key])) return false;
    }
    return true;
  }
  if (want.is_array()) {
    return got.is_array() && std::equal(want.begin(), want.end(), got.begin(), got.end(), holds);
  }
  return want == got;
}

json json_of(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &text, options).ok());
  return json::parse(text);
}

json values_of(const Tensor& tensor) {
  json values = json::array();
  visit<RealTypes>(tensor.dtype(), [&]<class T>() {
    for (const T value : tensor.span<T>()) {
      if constexpr (std::is_integral_v<T>) {
        values.push_back(value);
      } else {
        values.push_back(static_cast<double>(value));
      }
    }
  });
  if (tensor.dtype() == DType::kBool) {
    for (const bool value : tensor.span<bool>()) values.push_back(value);
  }
  return values;
}

void expect_outputs(const json& test, const tfs::PredictResponse& response) {
  const std::string name = test["name"];
  ASSERT_EQ(response.outputs_size(), static_cast<int>(test["outputs"].size())) << name;
  for (const auto& [alias, want] : test["outputs"].items()) {
    ASSERT_TRUE(response.outputs().contains(alias)) << name;
    const auto& message = response.outputs().at(alias);
    EXPECT_EQ(tensorflow::DataType_Name(message.dtype()), want["dtype"]) << name;
    EXPECT_TRUE(message.tensor_content().empty()) << name;
    const auto tensor = parse_tensor(message.SerializeAsString());
    ASSERT_TRUE(tensor.ok()) << name << tensor.status();
    const auto dims = tensor->shape().dims();
    EXPECT_EQ(std::vector<int64_t>(dims.begin(), dims.end()),
              want["shape"].get<std::vector<int64_t>>())
        << name;
    if (tensor->dtype() == DType::kString) {
      EXPECT_EQ(json_of(message)["string_val"], want["values"]) << name;
    } else {
      EXPECT_EQ(values_of(*tensor), want["values"]) << name;
    }
  }
}

void expect_status(const json& test, const grpc::Status& status) {
  const std::string name = test["name"];
  EXPECT_EQ(code_name(static_cast<absl::StatusCode>(status.error_code())), test["code"])
      << name << ": " << status.error_message();
  json details = test.value("details", json::array());
  if (details.is_string()) details = json::array({details});
  for (const json& part : details) {
    EXPECT_NE(status.error_message().find(part.get<std::string>()), std::string::npos)
        << name << ": " << status.error_message();
  }
}

// Calls the method that the case names; false when it is none of ours. A case that says "wait" may
// be asked again until it holds.
bool run_case(const json& test, tfs::PredictionService::Stub& prediction,
              tfs::ModelService::Stub& model) {
  const std::string rpc = test["rpc"];
  grpc::ClientContext context;
  const auto call = [&]<class Response>(auto&& method, Response& response) {
    expect_status(test, method(response));
    if (test.contains("model_spec")) {
      EXPECT_TRUE(holds(test["model_spec"], json_of(response)["model_spec"])) << test["name"];
    }
    if (test.contains("response") && test["code"] == "OK") {
      EXPECT_TRUE(holds(test["response"], json_of(response))) << test["name"];
    }
    return true;
  };
  if (rpc == "PredictionService/Predict") {
    tfs::PredictResponse response;
    call(
        [&](auto& out) {
          return prediction.Predict(&context, message_of_case<tfs::PredictRequest>(test), &out);
        },
        response);
    if (test.contains("outputs")) expect_outputs(test, response);
    return true;
  }
  if (rpc == "PredictionService/GetModelMetadata") {
    tfs::GetModelMetadataResponse response;
    call(
        [&](auto& out) {
          return prediction.GetModelMetadata(
              &context, message_of_case<tfs::GetModelMetadataRequest>(test), &out);
        },
        response);
    tfs::SignatureDefMap map;
    if (test.contains("signatures")) {
      EXPECT_TRUE(response.metadata().at("signature_def").UnpackTo(&map));
      EXPECT_EQ(map.signature_def().at("serving_default").method_name(),
                "tensorflow/serving/predict");
    }
    return true;
  }
  if (rpc == "ModelService/GetModelStatus") {
    tfs::GetModelStatusResponse response;
    return call(
        [&](auto& out) {
          return model.GetModelStatus(&context, message_of_case<tfs::GetModelStatusRequest>(test),
                                      &out);
        },
        response);
  }
  if (rpc == "ModelService/HandleReloadConfigRequest") {
    tfs::ReloadConfigResponse response;
    return call(
        [&](auto& out) {
          return model.HandleReloadConfigRequest(
              &context, message_of_case<tfs::ReloadConfigRequest>(test), &out);
        },
        response);
  }
  return false;
}

TEST_F(GrpcServerTest, AnswersTheCasesAsTensorFlowServingDoes) {
  std::ifstream file(cases_folder() + "/grpc_cases.json");
  const json cases = json::parse(file);
  int checked = 0;
  for (const json& test : cases["cases"]) checked += run_case(test, *prediction_, *model_);
  EXPECT_GE(checked, 34);
}

tfs::PredictRequest half_plus_two(float x) {
  tfs::PredictRequest request;
  request.mutable_model_spec()->set_name("half_plus_two");
  tensor_to_proto(Tensor::vector<float>({x}), false, (*request.mutable_inputs())["x"]);
  return request;
}

TEST_F(GrpcServerTest, CountsCallsByModelAndStatus) {
  tfs::PredictResponse response;
  grpc::ClientContext good;
  EXPECT_TRUE(prediction_->Predict(&good, half_plus_two(2), &response).ok());
  tfs::PredictRequest wrong = half_plus_two(2);
  wrong.mutable_model_spec()->set_signature_name("nope");
  grpc::ClientContext bad;
  EXPECT_FALSE(prediction_->Predict(&bad, wrong, &response).ok());
  auto& count = metrics_.counter("/tensorflow/serving/request_count", {"model_name", "status"});
  EXPECT_EQ(count.cell({"half_plus_two", "OK"}).value(), 1);
  EXPECT_EQ(count.cell({"half_plus_two", "FAILED_PRECONDITION"}).value(), 1);
}

TEST_F(GrpcServerTest, LongMessagesAreCut) {
  tfs::PredictRequest request;
  request.mutable_model_spec()->set_name(std::string(5000, 'x'));
  grpc::ClientContext context;
  tfs::PredictResponse response;
  const grpc::Status status = prediction_->Predict(&context, request, &response);
  EXPECT_EQ(status.error_message().size(), 1024 + std::string_view("...TRUNCATED").size());
}

TEST_F(GrpcServerTest, ReloadReportsMetricIncreases) {
  tfs::ReloadConfigRequest request;
  auto& config = *request.mutable_config()->mutable_model_config_list()->add_config();
  config.set_name("another");
  config.set_base_path(cases_folder() + "/models/half_plus_two");
  config.set_model_platform("tensorflow");
  request.add_metric_names("/tensorflow/cc/saved_model/load_attempt_count");
  tfs::ReloadConfigResponse response;
  grpc::ClientContext context;
  const grpc::Status status = model_->HandleReloadConfigRequest(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.metric_size(), 1);
  EXPECT_EQ(response.metric(0).int64_value_increase(), 1);
}

// A model without versions is waited for, but not for a client that waits no more.
TEST_F(GrpcServerTest, ReloadWaitsAsLongAsItsClient) {
  const auto empty = *TemporaryDirectory::create();
  tfs::ReloadConfigRequest request;
  auto& config = *request.mutable_config()->mutable_model_config_list()->add_config();
  config.set_name("later");
  config.set_base_path(empty.path());
  config.set_model_platform("tensorflow");
  RequestMetrics requests(metrics_);
  const RunLimits past{.deadline = std::chrono::steady_clock::now()};
  std::string response;
  EXPECT_EQ(reload_config({*models_, requests, metrics_, {}}, request.SerializeAsString(), past,
                          &response)
                .code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(GrpcServerTest, APortInUseIsAClearError) {
  GrpcOptions options;
  options.port = server_->port();
  options.metrics = &metrics_;
  const auto second = GrpcServer::start(*models_, options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(message_of(second.status()).find(cat(server_->port())), std::string_view::npos);
}

TEST_F(GrpcServerTest, TensorParsingErrors) {
  const auto error_of = [&](auto change) {
    tfs::PredictRequest request = half_plus_two(1);
    change((*request.mutable_inputs())["x"]);
    grpc::ClientContext context;
    tfs::PredictResponse response;
    const grpc::Status status = prediction_->Predict(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  using Proto = tensorflow::TensorProto;
  const std::string want = "tensor parsing error: x";
  EXPECT_EQ(error_of([](Proto& x) { x.set_dtype(tensorflow::DT_INVALID); }).find(want), 0u);
  EXPECT_EQ(
      error_of([](Proto& x) { x.mutable_tensor_shape()->mutable_dim(0)->set_size(-2); }).find(want),
      0u);
  EXPECT_EQ(error_of([](Proto& x) { x.set_tensor_content("abc"); }).find(want), 0u);
  EXPECT_EQ(error_of([](Proto& x) {
              for (int i = 0; i < 3; ++i) {
                x.mutable_tensor_shape()->add_dim()->set_size(int64_t{1} << 30);
              }
            }).find(want),
            0u);
}

TEST(TensorMessageTest, EveryDtypeTravelsInItsField) {
  const auto round_trip = [](const Tensor& tensor, bool as_content) {
    tensorflow::TensorProto message;
    tensor_to_proto(tensor, as_content, message);
    EXPECT_EQ(message.tensor_content().empty(), !as_content);
    const auto back = parse_input_tensor("x", message.SerializeAsString());
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(to_string(back->dtype()), to_string(tensor.dtype()));
    EXPECT_TRUE(back->shape() == tensor.shape());
    EXPECT_EQ(std::memcmp(back->raw(), tensor.raw(), tensor.num_bytes()), 0)
        << to_string(tensor.dtype());
  };
  for (const DType dtype :
       {DType::kFloat, DType::kDouble, DType::kHalf, DType::kBfloat16, DType::kInt8, DType::kInt16,
        DType::kInt32, DType::kInt64, DType::kUint8, DType::kUint16, DType::kUint32, DType::kUint64,
        DType::kComplex64, DType::kComplex128}) {
    visit<NumericTypes>(dtype, [&]<class T>() {
      const Tensor tensor = Tensor::vector<T>({T(1.0F), T(0.0F), T(3.0F)});
      round_trip(tensor, false);
      round_trip(tensor, true);
    });
  }
}

}  // namespace
}  // namespace tenon::serving
