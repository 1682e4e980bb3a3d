// Golden records on the wire, beside protobuf's reading and writing of PredictionLogs.
#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/io/record_io.h"
#include "tenon/saved_model/golden.h"
#include "tensorflow_serving/apis/prediction_log.pb.h"

namespace tenon {
namespace {

using tensorflow::serving::PredictionLog;

StatusOr<GoldenRecords> read_back(const std::string& file) {
  TENON_ASSIGN_OR_RETURN(const TemporaryDirectory folder, TemporaryDirectory::create());
  TENON_RETURN_IF_ERROR(create_directories(join_path(folder.path(), "assets.extra")));
  TENON_RETURN_IF_ERROR(
      write_file(join_path(folder.path(), cat("assets.extra/", kGoldenFile)), file));
  return read_goldens(folder.path());
}

std::vector<GoldenRecord> some_records() {
  const float numbers[] = {1.5f, -2.0f};
  return {{"serving_default",
           {{"x", Tensor::vector<float>(std::span(numbers))}, {"b", Tensor::string("text")}},
           {{"y", Tensor::scalar<int64_t>(7)}}},
          {"other", {}, {}}};
}

TEST(GoldenFile, IsWhatProtobufWrites) {
  const std::string file = goldens_to_file(some_records());
  StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  const std::string path = join_path(folder->path(), "records");
  ASSERT_TRUE(write_file(path, file).ok());
  StatusOr<RecordReader> reader = RecordReader::open(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::string bytes;
  for (const GoldenRecord& record : some_records()) {
    const auto more = reader->next(bytes);
    ASSERT_TRUE(more.ok() && *more);
    PredictionLog log;
    ASSERT_TRUE(log.ParseFromString(bytes));
    EXPECT_EQ(log.ByteSizeLong(), bytes.size());
    const auto& request = log.predict_log().request();
    EXPECT_EQ(request.model_spec().signature_name(), record.signature);
    EXPECT_EQ(log.predict_log().response().model_spec().signature_name(), record.signature);
    ASSERT_EQ(request.inputs().size(), record.inputs.size());
    ASSERT_EQ(log.predict_log().response().outputs().size(), record.outputs.size());
    if (record.inputs.empty()) continue;
    EXPECT_EQ(request.inputs().at("b").string_val(0), "text");
    EXPECT_EQ(request.inputs().at("x").tensor_content().size(), 8u);
  }
  const auto goldens = read_back(file);
  ASSERT_TRUE(goldens.ok()) << goldens.status();
  ASSERT_EQ(goldens->records.size(), 2u);
  EXPECT_EQ(*goldens->records[0].outputs.at("y").data<int64_t>(), 7);
}

// A record as others write it: fields that we do not know, a default signature, other kinds of log.
TEST(GoldenFile, ReadsWhatProtobufWrites) {
  PredictionLog log;
  log.mutable_log_metadata()->mutable_model_spec()->set_name("model");
  auto& request = *log.mutable_predict_log()->mutable_request();
  request.mutable_model_spec()->set_name("model");
  request.add_output_filter("y");
  auto& x = (*request.mutable_inputs())["x"];
  x.set_dtype(tensorflow::DT_INT32);
  x.add_int_val(-4);
  (*log.mutable_predict_log()->mutable_response()->mutable_outputs())["y"] = x;
  PredictionLog classify, unanswered;
  classify.mutable_classify_log();
  unanswered.mutable_predict_log()->mutable_request();
  std::string file;
  for (const auto* each : {&log, &classify, &unanswered}) {
    append_record(file, each->SerializeAsString());
  }
  // The last kind of log counts.
  append_record(file, classify.SerializeAsString() + log.SerializeAsString());
  append_record(file, log.SerializeAsString() + classify.SerializeAsString());
  const auto goldens = read_back(file);
  ASSERT_TRUE(goldens.ok()) << goldens.status();
  EXPECT_EQ(goldens->others, 3u);
  ASSERT_EQ(goldens->records.size(), 2u);
  for (const GoldenRecord& record : goldens->records) {
    EXPECT_EQ(record.signature, "serving_default");
    EXPECT_EQ(*record.inputs.at("x").data<int32_t>(), -4);
    EXPECT_EQ(*record.outputs.at("y").data<int32_t>(), -4);
  }
}

TEST(GoldenFile, DamageIsDataLoss) {
  std::string file;
  append_record(file, "\x32\x05?");
  EXPECT_EQ(read_back(file).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tenon
