// Predictions that would never end: deadlines, clients that go away, and who is answered meanwhile.
#include <gtest/gtest.h>

#include <thread>

#include "tenon/base/files.h"
#include "tenon/serving/grpc/grpc_server.h"
#include "tenon/serving/grpc/http2_client.h"
#include "tenon/serving/grpc/request_bytes.h"
#include "tenon/serving/rest_api.h"

namespace tenon::serving {
namespace {

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

  void start_grpc(int max_threads, size_t max_waiting = 0) {
    GrpcOptions options;
    options.port = 0;
    options.max_threads = max_threads;
    options.max_waiting = max_waiting;
    options.metrics = &metrics_;
    auto server = GrpcServer::start(*models_, options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::unique_ptr<Http2SocketClient> connect() {
    return std::make_unique<Http2SocketClient>(server_->port());
  }
  // A connection with a prediction that runs.
  std::unique_ptr<Http2SocketClient> predicting() {
    auto client = connect();
    client->client().call(kPredictPath, request_for("m"));
    client->send();
    return client;
  }

  std::optional<TemporaryDirectory> folder_;
  MetricRegistry metrics_;
  std::unique_ptr<ServedModels> models_;
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(CallLimits, ARunEndsAtTheDeadlineOfItsGrpcClient) {
  start_grpc(8);
  const auto client = connect();
  EXPECT_EQ(client->call(kPredictPath, request_for("m"), {{"grpc-timeout", "100m"}}).status(), "4");
  EXPECT_TRUE(becomes(0));
}

TEST_F(CallLimits, ARunEndsWhenItsGrpcClientCancels) {
  start_grpc(8);
  const auto client = connect();
  const int32_t id = client->client().call(kPredictPath, request_for("m"));
  client->send();
  EXPECT_TRUE(becomes(1));
  client->client().cancel(id);
  client->send();
  EXPECT_TRUE(becomes(0));
  // The connection goes on.
  EXPECT_EQ(client->call(kModelStatusPath, request_for("m")).status(), "0");
}

TEST_F(CallLimits, ARunEndsWhenItsGrpcClientIsGone) {
  start_grpc(8);
  auto client = predicting();
  EXPECT_TRUE(becomes(1));
  client.reset();
  EXPECT_TRUE(becomes(0));
}

TEST_F(CallLimits, StatusIsAnsweredWhileAsManyPredictionsRunAsMay) {
  start_grpc(3);
  std::vector<std::unique_ptr<Http2SocketClient>> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(predicting());
  EXPECT_TRUE(becomes(3));
  const auto one_more = connect();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(one_more->call(kPredictPath, request_for("m")).status(), "8");
    EXPECT_EQ(one_more->call(kModelStatusPath, request_for("m")).status(), "0");
    // On a connection with a prediction as well.
    EXPECT_EQ(clients[0]->call(kModelStatusPath, request_for("m")).status(), "0");
  }
  clients.clear();
  EXPECT_TRUE(becomes(0));
}

TEST_F(CallLimits, PredictionsWaitForTheirTurnUntilTooManyDo) {
  start_grpc(1, 1);
  auto first = predicting();
  EXPECT_TRUE(becomes(1));
  auto second = connect();
  const int32_t waiting = second->client().call(kPredictPath, request_for("m"));
  EXPECT_EQ(second->call(kModelStatusPath, request_for("m")).status(), "0");  // it waits by now
  const auto third = connect();
  const auto& refused = third->call(kPredictPath, request_for("m"));
  EXPECT_EQ(refused.status(), "8");
  EXPECT_NE(refused.text().find("--grpc_max_threads"), std::string::npos) << refused.text();
  EXPECT_EQ(metrics_.counter("/tensorflow/serving/request_count", {"model_name", "status"})
                .cell({"m", "RESOURCE_EXHAUSTED"})
                .value(),
            1);
  // Who gives up gives up the place too.
  second->client().cancel(waiting);
  EXPECT_EQ(second->call(kModelStatusPath, request_for("m")).status(), "0");
  auto fourth = predicting();
  EXPECT_EQ(fourth->call(kModelStatusPath, request_for("m")).status(), "0");
  first.reset();
  EXPECT_TRUE(becomes(1));
  fourth.reset();
  EXPECT_TRUE(becomes(0));
}

// A configuration may wait for its model for ever: not beyond its call, nor does a later one wait
// for it.
TEST_F(CallLimits, AReloadEndsWithItsCallAndHoldsUpNoOther) {
  start_grpc(8);
  const auto reload = [](std::string_view name, const std::string& path) {
    std::string request;
    append_message(request, 1, [&] {      // ServerModelConfig
      append_message(request, 1, [&] {    // ModelConfigList
        append_message(request, 1, [&] {  // ModelConfig
          append_string_field(request, 1, name);
          append_string_field(request, 2, path);
          append_string_field(request, 4, "tensorflow");
        });
      });
    });
    return request;
  };
  const std::string path = "/tensorflow.serving.ModelService/HandleReloadConfigRequest";
  const std::string empty = join_path(folder_->path(), "empty");
  ASSERT_TRUE(create_directories(empty).ok());
  const auto waiting = connect();
  waiting->client().call(path, reload("none", empty));
  waiting->send();
  while (!models_->knows("none")) std::this_thread::yield();  // else it would supersede the next
  const auto client = connect();
  EXPECT_EQ(client->call(path, reload("another", empty), {{"grpc-timeout", "150m"}}).status(), "4");
  EXPECT_EQ(client->call(path, reload("m", folder_->path())).status(), "0");
}

TEST_F(CallLimits, StoppingTheServerEndsRuns) {
  start_grpc(8);
  const auto client = predicting();
  EXPECT_TRUE(becomes(1));
  server_->stop(20);
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
