// HTTP, gRPC, the keeper of versions and the engine at once: what ThreadSanitizer looks at. Outside
// truth: TensorFlow's half_plus_two_tf2, y = x / 2 + 2.
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "tenon/base/files.h"
#include "tenon/serving/case_models.h"
#include "tenon/serving/grpc/grpc_server.h"
#include "tenon/serving/grpc/http2_client.h"
#include "tenon/serving/grpc/request_bytes.h"
#include "tenon/serving/http/http_client.h"
#include "tenon/serving/http/http_server.h"
#include "tenon/serving/rest_api.h"
#include "tenon/serving/saved_model_servable.h"

namespace tenon::serving {
namespace {

class WholeServerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(register_case_ops().ok()) << register_case_ops();
    folder_ = *TemporaryDirectory::create();
    add(1);
    ServedModelsOptions options;
    options.metrics = &metrics_;
    options.poll_interval = std::chrono::milliseconds(5);
    options.load = [](const std::string&, int64_t, const std::string& path) {
      SavedModelOptions saved_model;
      saved_model.prepare = true;
      return load_saved_model(path, saved_model);
    };
    auto models = ServedModels::start(options, {{"m", folder_->path(), {}, {}}});
    ASSERT_TRUE(models.ok()) << models.status();
    models_ = *std::move(models);
    RestOptions rest_options;
    rest_options.metrics = &metrics_;
    rest_options.monitoring.enable = true;
    api_ = std::make_unique<RestApi>(*models_, rest_options);
    auto rest =
        HttpServer::start({}, [this](const HttpRequest& request) { return api_->answer(request); });
    ASSERT_TRUE(rest.ok()) << rest.status();
    rest_ = *std::move(rest);
    GrpcOptions grpc_options;
    grpc_options.port = 0;
    grpc_options.metrics = &metrics_;
    auto grpc = GrpcServer::start(*models_, grpc_options);
    ASSERT_TRUE(grpc.ok()) << grpc.status();
    grpc_ = *std::move(grpc);
  }

  std::string version_path(int64_t version) const { return cat(folder_->path(), "/", version); }
  void add(int64_t version) {
    const std::string model = cases_folder() + "/models/half_plus_two_tf2/1";
    ASSERT_EQ(::symlink(model.c_str(), version_path(version).c_str()), 0);
  }
  void drop(int64_t version) { ASSERT_EQ(::unlink(version_path(version).c_str()), 0); }
  // Waits, at most a minute, until the keeper has made `version` the one that is served.
  bool serves(int64_t version) const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (std::chrono::steady_clock::now() < limit) {
      const auto found = models_->find({"m", {}, {}});
      if (found.ok() && (*found)->version == version) return true;
      std::this_thread::yield();
    }
    return false;
  }

  // One right answer more, or one wrong.
  void count(bool right) { ++(right ? right_ : wrong_); }

  void ask_rest() {
    constexpr std::string_view kBody = R"({"instances": [1.0, 2.0, 5.0]})";
    constexpr std::string_view kAnswer = "[2.5, 3.0, 4.5\n    ]\n}";
    HttpClient client(rest_->port());
    client.send(cat("POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nContent-Length: ",
                    kBody.size(), "\r\n\r\n", kBody,
                    "GET /monitoring/prometheus/metrics HTTP/1.1\r\nHost: h\r\n\r\n"
                    "GET /v1/models/m/metadata HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    const std::string answers = client.receive_all();
    count(answers.find(kAnswer) != std::string::npos &&
          answers.find("signature_def") != std::string::npos);
  }

  void ask_grpc() {
    Http2SocketClient client(grpc_->port());
    const std::string request = predict_request("m", "x", Tensor::vector<float>({1, 2}));
    std::vector<int32_t> calls;
    for (int i = 0; i < 20; ++i) calls.push_back(client.client().call(kPredictPath, request));
    for (const int32_t id : calls) {
      const auto& answer = client.wait(id);
      const StatusOr<Tensor> y = first_output(answer.message());
      count(answer.status() == "0" && y.ok() && y->num_elements() == 2 &&
            y->data<float>()[0] == 2.5F && y->data<float>()[1] == 3.0F);
    }
  }

  MetricRegistry metrics_;
  std::optional<TemporaryDirectory> folder_;
  std::unique_ptr<ServedModels> models_;
  std::unique_ptr<RestApi> api_;
  std::unique_ptr<HttpServer> rest_;
  std::unique_ptr<GrpcServer> grpc_;
  std::atomic<int> right_{0};
  std::atomic<int> wrong_{0};
};

TEST_F(WholeServerTest, AnswersWhileVersionsComeAndGo) {
  std::atomic<bool> done{false};
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([&] {
      while (!done) ask_rest();
    });
    clients.emplace_back([&] {
      while (!done) ask_grpc();
    });
  }
  for (int64_t version = 2; version <= 6; ++version) {
    add(version);
    EXPECT_TRUE(serves(version)) << version;
    drop(version - 1);
  }
  done = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong_, 0);
  EXPECT_GT(right_, 0);
  grpc_->stop(1000);
  rest_->stop(1000);
}

}  // namespace
}  // namespace tenon::serving
