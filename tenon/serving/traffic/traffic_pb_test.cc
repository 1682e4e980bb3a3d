// Outside truth: protobuf reads the records; y = x / 2 + 2 of TensorFlow's half_plus_two.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tenon/base/files.h"
#include "tenon/io/record_io.h"
#include "tenon/serving/case_models.h"
#include "tenon/serving/traffic/prediction_record.h"
#include "tenon/serving/traffic/request_log.h"
#include "tenon/serving/traffic/shadow.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow_serving/apis/prediction_log.pb.h"

namespace tenon::serving {
namespace {

class TrafficTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = *TemporaryDirectory::create();
    models_ = serve_case_models(metrics_);
    ASSERT_NE(models_, nullptr);
    const auto served = models_->find({"half_plus_two", {}, ""});
    ASSERT_TRUE(served.ok()) << served.status();
    served_ = *served;
  }

  // A prediction of `signature` that has been made.
  std::unique_ptr<Prediction> predicted(const std::string& signature, PredictionKind kind,
                                        Tensor input, Tensor result) {
    const Signature* const found = find_signature(*served_->servable, signature);
    EXPECT_NE(found, nullptr) << signature;
    if (found == nullptr) return nullptr;
    const std::vector<Tensor> inputs = {std::move(input)}, results = {std::move(result)};
    const int outputs[] = {0};
    return std::make_unique<Prediction>(
        PredictionView{served_, kind, *found, inputs, outputs, results});
  }
  static PredictionView view_of(const Prediction& prediction) {
    return {prediction.served, prediction.kind,    *prediction.signature,
            prediction.inputs, prediction.outputs, prediction.results};
  }
  static Tensor example_of(float x) {
    tensorflow::Example example;
    (*example.mutable_features()->mutable_feature())["x"].mutable_float_list()->add_value(x);
    StringTensorBuilder builder(Shape({1}));
    builder.set(0, example.SerializeAsString());
    return std::move(builder).build();
  }
  std::vector<std::string> files() const { return *list_directory(folder_->path()); }
  std::string path(std::string_view name) const { return join_path(folder_->path(), name); }

  MetricRegistry metrics_;
  std::optional<TemporaryDirectory> folder_;
  std::unique_ptr<ServedModels> models_;
  std::shared_ptr<const ServedVersion> served_;
};

TEST_F(TrafficTest, ProtobufReadsPredictions) {
  const auto prediction = predicted("serving_default", PredictionKind::kPredict,
                                    Tensor::vector<float>({1, 2}), Tensor::vector<float>({2.5, 3}));
  ASSERT_NE(prediction, nullptr);
  const auto record = prediction_record(*prediction, 0.25, 1'800'000'000);
  ASSERT_TRUE(record.ok()) << record.status();
  tensorflow::serving::PredictionLog log;
  ASSERT_TRUE(log.ParseFromString(*record));
  EXPECT_EQ(log.log_metadata().sampling_config().sampling_rate(), 0.25);
  EXPECT_EQ(log.log_metadata().timestamp_secs(), 1'800'000'000);
  const auto& request = log.predict_log().request();
  EXPECT_EQ(request.model_spec().name(), "half_plus_two");
  EXPECT_EQ(request.model_spec().signature_name(), "serving_default");
  EXPECT_EQ(request.model_spec().version().value(), served_->version);
  EXPECT_EQ(request.output_filter_size(), 0);
  ASSERT_TRUE(request.inputs().contains("x"));
  EXPECT_EQ(request.inputs().at("x").dtype(), tensorflow::DT_FLOAT);
  EXPECT_EQ(request.inputs().at("x").tensor_shape().dim(0).size(), 2);
  ASSERT_TRUE(log.predict_log().response().outputs().contains("y"));
  const auto golden = parse_golden(*record);
  ASSERT_TRUE(golden.ok() && *golden) << golden.status();
  EXPECT_EQ((*golden)->outputs.at("y").data<float>()[1], 3);
}

TEST_F(TrafficTest, ProtobufReadsRegressions) {
  const auto prediction = predicted("regress_x_to_y", PredictionKind::kRegress, example_of(4),
                                    Tensor::vector<float>({4}));
  ASSERT_NE(prediction, nullptr);
  const auto record = prediction_record(*prediction, 1, 7);
  ASSERT_TRUE(record.ok()) << record.status();
  tensorflow::serving::PredictionLog log;
  ASSERT_TRUE(log.ParseFromString(*record));
  ASSERT_EQ(log.regress_log().request().input().example_list().examples_size(), 1);
  ASSERT_EQ(log.regress_log().response().result().regressions_size(), 1);
  EXPECT_EQ(log.regress_log().response().result().regressions(0).value(), 4);
}

// A server that is killed leaves half a record; what stands before it is read.
TEST_F(TrafficTest, ALogThatIsCutOffIsReadUpToThere) {
  const auto regression = predicted("regress_x_to_y", PredictionKind::kRegress, example_of(4),
                                    Tensor::vector<float>({4}));
  const auto classification = predicted("classify_x_to_y", PredictionKind::kClassify, example_of(2),
                                        Tensor::vector<float>({3}).reshaped(Shape({1, 1})));
  ASSERT_TRUE(regression && classification);
  std::string file;
  append_record(file, *prediction_record(*regression, 1, 7));
  append_record(file, *prediction_record(*classification, 1, 7));
  const size_t whole = file.size();
  append_record(file, *prediction_record(*regression, 1, 7));
  for (const size_t size : {whole, whole + 5, whole + 20, file.size() - 1, file.size()}) {
    ASSERT_TRUE(write_file(path("log"), std::string_view(file).substr(0, size)).ok());
    const auto log = read_request_log(path("log"));
    ASSERT_TRUE(log.ok()) << log.status();
    EXPECT_EQ(log->cut_off, size != whole && size != file.size());
    ASSERT_EQ(log->records.records.size(), size == file.size() ? 3 : 2);
    const GoldenRecord& first = log->records.records[0];
    EXPECT_EQ(first.signature, "regress_x_to_y");
    EXPECT_EQ(first.outputs.at("outputs").data<float>()[0], 4);
    EXPECT_EQ(log->records.records[1].outputs.at("scores").data<float>()[0], 3);
  }
  file[whole - 6] = static_cast<char>(file[whole - 6] ^ 1);
  ASSERT_TRUE(write_file(path("log"), file).ok());
  EXPECT_EQ(read_request_log(path("log")).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(TrafficTest, FilesFollowEachOtherAndTheNewestAreKept) {
  ASSERT_TRUE(write_file(path("log.other"), "").ok());
  ASSERT_TRUE(write_file(path("log.x.20260101T000000.000000.tfrecord"), "").ok());
  RotatedRecords records(path("log"), {.file_bytes = 120, .files = 3});
  EXPECT_EQ(files().size(), 2);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(records.append(cat("record ", i, " ", std::string(30, 'x'))).ok());
  }
  const std::vector<std::string> names = files();
  ASSERT_EQ(names.size(), 5) << join(names, " ");
  std::string record;
  int next = 14;  // two fit into a file
  for (size_t i = 0; i < 3; ++i) {
    auto reader = RecordReader::open(path(names[i]));
    ASSERT_TRUE(reader.ok());
    while (reader->next(record).value_or(false)) {
      EXPECT_TRUE(record.starts_with(cat("record ", next, " "))) << record;
      ++next;
    }
  }
  EXPECT_EQ(next, 20);
}

TEST_F(TrafficTest, AFileThatSomebodyRemovesIsFollowedByTheNext) {
  RotatedRecords records(path("log"), {});
  ASSERT_TRUE(records.append("first").ok());
  const std::vector<std::string> before = files();
  for (const std::string& name : before) ASSERT_TRUE(remove_tree(path(name)).ok());
  ASSERT_TRUE(files().empty());
  ASSERT_TRUE(records.append("second").ok());
  ASSERT_EQ(files().size(), 1);
  auto reader = RecordReader::open(path(files()[0]));
  ASSERT_TRUE(reader.ok());
  std::string record;
  EXPECT_TRUE(reader->next(record).value_or(false));
  EXPECT_EQ(record, "second");
}

// While the disk does not take anything, requests go on, and what does not fit is counted.
TEST_F(TrafficTest, WhatDoesNotFitIntoTheQueueIsDropped) {
  const auto prediction = predicted("serving_default", PredictionKind::kPredict,
                                    Tensor::vector<float>({1, 2}), Tensor::vector<float>({2.5, 3}));
  ASSERT_NE(prediction, nullptr);
  const PredictionView view = view_of(*prediction);
  std::promise<void> blocked, release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<int> seen{0};
  auto queue = PredictionQueue::start(bytes_of(view) * 4, [&](const Prediction&) {
    if (seen++ == 0) blocked.set_value();
    released.wait();
  });
  ASSERT_TRUE(queue.ok());
  EXPECT_TRUE((*queue)->add(view));
  blocked.get_future().wait();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE((*queue)->add(view));
  EXPECT_FALSE((*queue)->add(view));
  release.set_value();
  (*queue)->stop(std::chrono::seconds(10));
  EXPECT_EQ(seen, 4);
  EXPECT_FALSE((*queue)->add(view));
}

TEST_F(TrafficTest, ModelsAreLoggedAsTheirConfigurationSays) {
  RequestLogOptions options;
  options.prefix = path("all");
  options.metrics = &metrics_;
  auto started = RequestLog::start(options);
  ASSERT_TRUE(started.ok());
  std::unique_ptr<RequestLog> log = *std::move(started);
  const auto prediction = predicted("serving_default", PredictionKind::kPredict,
                                    Tensor::vector<float>({1}), Tensor::vector<float>({2.5}));
  ASSERT_NE(prediction, nullptr);
  log->predicted(view_of(*prediction));  // of a model that nobody has configured
  ModelConfig model;
  model.name = "half_plus_two";
  log->configure(std::span(&model, 1));
  log->predicted(view_of(*prediction));
  const Counter& written =
      metrics_.counter("/tensorflow/serving/request_log_count", {"model_name", "status_code"})
          .cell({"half_plus_two", "OK"});
  // The log writes from a thread of its own, and at its end for two seconds only.
  const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const auto wait_for = [&](int count) {
    while (written.value() < count && std::chrono::steady_clock::now() < late) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  wait_for(1);
  model.logging = LoggingConfig{path("some"), 0.5};
  log->configure(std::span(&model, 1));
  constexpr int kCount = 2000;
  for (int i = 0; i < kCount; ++i) log->predicted(view_of(*prediction));
  wait_for(1 + kCount * 4 / 10 + 1);
  log.reset();
  const std::vector<std::string> names = files();
  ASSERT_EQ(names.size(), 2);
  size_t counts[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    const auto read = read_request_log(path(names[i]));
    ASSERT_TRUE(read.ok()) << read.status();
    counts[i] = read->records.records.size();
  }
  EXPECT_EQ(counts[0], 1);
  EXPECT_GT(counts[1], kCount * 4 / 10);
  EXPECT_LT(counts[1], kCount * 6 / 10);
}

TEST(ShadowsTest, AreNamedByVersionOrLabel) {
  const auto shadows = parse_shadows("a:7,b:canary,c:d:8");
  ASSERT_TRUE(shadows.ok()) << shadows.status();
  EXPECT_EQ(shadows->at("a").version, 7);
  EXPECT_EQ(shadows->at("b").label, "canary");
  EXPECT_EQ(shadows->at("c:d").version, 8);
  for (const char* wrong : {"", "a", "a:", ":7", "a:7,a:8", "a:7,,b:8"}) {
    EXPECT_EQ(parse_shadows(wrong).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
}

}  // namespace
}  // namespace tenon::serving
