// Predictions that would never end: deadlines, clients that go away, and who is answered meanwhile.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "tenon/base/files.h"
#include "tenon/serving/grpc_server.h"
#include "tenon/serving/rest_api.h"
#include "tensorflow_serving/apis/model_service.grpc.pb.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;
using std::chrono::milliseconds;

std::atomic<int> running{0};

bool becomes(int count) {
  for (int i = 0; i < 10'000 && running != count; ++i) std::this_thread::sleep_for(milliseconds(1));
  return running == count;
}

// Its runs end when their limits say so.
class EndlessServable final : public Servable {
 public:
  const std::vector<Signature>& signatures() const override { return signatures_; }
  StatusOr<std::vector<Tensor>> run(const Signature&, std::span<const Tensor>, std::span<const int>,
                                    const RunLimits& limits) const override {
    ++running;
    Status status;
    while (status.ok()) {
      std::this_thread::sleep_for(milliseconds(1));
      status = limits.check();
    }
    --running;
    return status;
  }
  std::string signature_def_map() const override { return ""; }

 private:
  std::vector<Signature> signatures_{
      {std::string(kDefaultSignature), "tensorflow/serving/predict", {}, {}, {}},
      {"of_x", "tensorflow/serving/predict", {{"x", DType::kFloat, PartialShape()}}, {}, {}}};
};

class CallLimits : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = *TemporaryDirectory::create();
    ASSERT_TRUE(create_directories(join_path(folder_->path(), "1")).ok());
    ServedModelsOptions options;
    options.metrics = &metrics_;
    options.load = [](const std::string&, int64_t,
                      const std::string&) -> StatusOr<std::shared_ptr<const Servable>> {
      return std::make_shared<EndlessServable>();
    };
    ModelConfig config;
    config.name = "m";
    config.base_path = folder_->path();
    auto models = ServedModels::start(options, {config});
    ASSERT_TRUE(models.ok()) << models.status();
    models_ = *std::move(models);
  }

  void start_grpc(int max_threads) {
    GrpcOptions options;
    options.port = 0;
    options.max_threads = max_threads;
    options.metrics = &metrics_;
    auto server = GrpcServer::start(*models_, options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ =
        grpc::CreateChannel(cat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials());
  }
  grpc::Status predict(grpc::ClientContext& context) {
    tfs::PredictRequest request;
    request.mutable_model_spec()->set_name("m");
    tfs::PredictResponse response;
    return tfs::PredictionService::NewStub(channel_)->Predict(&context, request, &response);
  }

  std::optional<TemporaryDirectory> folder_;
  MetricRegistry metrics_;
  std::unique_ptr<ServedModels> models_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(CallLimits, ARunEndsAtTheDeadlineOfItsGrpcClient) {
  start_grpc(8);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(100));
  EXPECT_EQ(predict(context).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(becomes(0));
}

TEST_F(CallLimits, ARunEndsWhenItsGrpcClientCancels) {
  start_grpc(8);
  grpc::ClientContext context;
  std::thread client([&] { predict(context); });
  EXPECT_TRUE(becomes(1));
  context.TryCancel();
  client.join();
  EXPECT_TRUE(becomes(0));
}

TEST_F(CallLimits, StatusIsAnsweredWhileAsManyPredictionsRunAsMay) {
  start_grpc(3);
  grpc::ClientContext contexts[3];
  std::vector<std::thread> clients;
  for (grpc::ClientContext& context : contexts) clients.emplace_back([&] { predict(context); });
  EXPECT_TRUE(becomes(3));
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext one_more, status;
    EXPECT_EQ(predict(one_more).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    tfs::GetModelStatusRequest request;
    request.mutable_model_spec()->set_name("m");
    tfs::GetModelStatusResponse response;
    EXPECT_TRUE(
        tfs::ModelService::NewStub(channel_)->GetModelStatus(&status, request, &response).ok());
  }
  for (grpc::ClientContext& context : contexts) context.TryCancel();
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(becomes(0));
}

TEST_F(CallLimits, StoppingTheServerEndsRuns) {
  start_grpc(8);
  grpc::ClientContext context;
  std::thread client([&] { predict(context); });
  EXPECT_TRUE(becomes(1));
  server_->stop(20);
  client.join();
  EXPECT_TRUE(becomes(0));
}

TEST_F(CallLimits, ARestPredictionEndsAtItsTimeOut) {
  RestOptions options;
  options.timeout_milliseconds = 50;
  options.metrics = &metrics_;
  RestApi api(*models_, options);
  HttpRequest request;
  request.method = "POST";
  request.target = "/v1/models/m:predict";
  request.body = R"({"signature_name": "of_x", "inputs": {"x": 1.0}})";
  const HttpResponse response = api.answer(request);
  EXPECT_EQ(response.status, 504) << response.body;
  EXPECT_TRUE(becomes(0));
}

}  // namespace
}  // namespace tenon::serving
