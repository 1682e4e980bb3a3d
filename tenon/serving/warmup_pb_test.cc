// Outside truth: the format and the limits of TensorFlow Serving's warm-up files
// (servables/tensorflow/saved_model_warmup.cc).
#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/io/record_io.h"
#include "tenon/serving/case_models.h"
#include "tenon/serving/grpc/tensor_to_proto.h"
#include "tenon/serving/warmup.h"
#include "tensorflow_serving/apis/prediction_log.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

class WarmupTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = *TemporaryDirectory::create();
    servable_ = case_servable("half_plus_two", 123);
    options_.metrics = &metrics_;
  }
  // A predict of x, whose answer was `y`.
  static std::string record(float x, float y) {
    tfs::PredictionLog log;
    auto& predict = *log.mutable_predict_log();
    predict.mutable_request()->mutable_model_spec()->set_name("whatever");
    tensor_to_proto(Tensor::vector<float>({x}), false,
                    (*predict.mutable_request()->mutable_inputs())["x"]);
    tensor_to_proto(Tensor::vector<float>({y}), true,
                    (*predict.mutable_response()->mutable_outputs())["y"]);
    return log.SerializeAsString();
  }
  void write(const std::vector<std::string>& records) {
    const std::string extra = join_path(folder_->path(), "assets.extra");
    ASSERT_TRUE(create_directories(extra).ok());
    std::string file;
    for (const std::string& bytes : records) append_record(file, bytes);
    ASSERT_TRUE(write_file(join_path(extra, "tf_serving_warmup_requests"), file).ok());
  }
  Status replay() { return replay_warmup(*servable_, folder_->path(), options_); }

  std::optional<TemporaryDirectory> folder_;
  std::shared_ptr<const Servable> servable_;
  MetricRegistry metrics_;
  WarmupOptions options_;
};

TEST_F(WarmupTest, AModelWithoutRecordsIsFine) { EXPECT_TRUE(replay().ok()); }

TEST_F(WarmupTest, RecordsAreReplayedAndCounted) {
  write({record(2, 3), record(4, 4)});
  EXPECT_TRUE(replay().ok()) << replay();
  const std::string path = join_path(folder_->path(), "assets.extra/tf_serving_warmup_requests");
  EXPECT_EQ(
      metrics_.counter("/tensorflow/serving/model_warmup_records_read", {"model_path", "status"})
          .cell({path, "success"})
          .value(),
      2);
}

TEST_F(WarmupTest, ARequestThatFailsFailsTheWarmup) {
  tfs::PredictionLog log;
  log.mutable_predict_log()->mutable_request()->mutable_model_spec()->set_signature_name("nope");
  write({record(2, 3), log.SerializeAsString()});
  EXPECT_EQ(replay().code(), absl::StatusCode::kFailedPrecondition);
}

// A record of each kind is replayed: one whose signature is not there fails.
TEST_F(WarmupTest, ExamplesAreReplayedToo) {
  for (const bool known : {true, false}) {
    const char* signature = known ? "regress_x_to_y" : "nope";
    tfs::PredictionLog log;
    auto& regress = *log.mutable_regress_log()->mutable_request();
    regress.mutable_model_spec()->set_signature_name(signature);
    regress.mutable_input()->mutable_example_list()->add_examples();
    tfs::PredictionLog multi;
    auto& request = *multi.mutable_multi_inference_log()->mutable_request();
    *request.mutable_input() = regress.input();
    tfs::InferenceTask& task = *request.add_tasks();
    task.mutable_model_spec()->set_name("m");
    task.mutable_model_spec()->set_signature_name(signature);
    task.set_method_name("tensorflow/serving/regress");
    for (const tfs::PredictionLog& record : {log, multi}) {
      write({record.SerializeAsString()});
      const Status status = replay();
      // The test's model computes floats only: it does get the examples.
      EXPECT_EQ(message_of(status).find(known ? "fed 1 examples" : signature) != std::string::npos,
                true)
          << status;
    }
  }
  tfs::PredictionLog session;
  session.mutable_session_run_log();
  write({session.SerializeAsString()});
  EXPECT_EQ(replay().code(), absl::StatusCode::kUnimplemented);
  write({tfs::PredictionLog().SerializeAsString()});
  EXPECT_TRUE(replay().ok());
}

TEST_F(WarmupTest, MoreThanAThousandRecordsAreRefused) {
  write(std::vector<std::string>(1001, record(2, 3)));
  const Status status = replay();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(
      message_of(status).starts_with("Number of warmup records exceeds the maximum (1000) at "));
}

TEST_F(WarmupTest, DamagedFilesAreErrors) {
  write({"no message at all"});
  EXPECT_EQ(replay().code(), absl::StatusCode::kDataLoss);
  const std::string path = join_path(folder_->path(), "assets.extra/tf_serving_warmup_requests");
  ASSERT_TRUE(write_file(path, "short").ok());
  EXPECT_EQ(replay().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tenon::serving
