#include "tenon/base/files.h"
#include "tenon/graph/tensor_pb.h"
#include "tenon/io/record_io.h"
#include "tenon/saved_model/golden.h"
#include "tensorflow_serving/apis/prediction_log.pb.h"

namespace tenon {
namespace {

using TensorProtos = google::protobuf::Map<std::string, tensorflow::TensorProto>;

StatusOr<std::map<std::string, Tensor>> tensors_from(const TensorProtos& protos) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, proto] : protos) {
    StatusOr<Tensor> tensor = tensor_from_proto(proto);
    if (!tensor.ok()) return with_context(tensor.status(), cat("tensor '", name, "'"));
    tensors[name] = *std::move(tensor);
  }
  return tensors;
}

StatusOr<GoldenRecord> record_from(const tensorflow::serving::PredictLog& log) {
  GoldenRecord record;
  record.signature = log.request().model_spec().signature_name();
  if (record.signature.empty()) record.signature = "serving_default";
  TENON_ASSIGN_OR_RETURN(record.inputs, tensors_from(log.request().inputs()));
  TENON_ASSIGN_OR_RETURN(record.outputs, tensors_from(log.response().outputs()));
  return record;
}

}  // namespace

StatusOr<GoldenRecords> read_goldens(const std::string& folder) {
  GoldenRecords goldens;
  const std::string path = join_path(folder, cat("assets.extra/", kGoldenFile));
  if (!path_exists(path)) return goldens;
  TENON_ASSIGN_OR_RETURN(RecordReader reader, RecordReader::open(path));
  std::string bytes;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, reader.next(bytes));
    if (!more) return goldens;
    tensorflow::serving::PredictionLog log;
    if (!log.ParseFromString(bytes)) {
      return data_loss("'", path, "' is damaged: a record does not parse as a PredictionLog");
    }
    if (!log.has_predict_log() || !log.predict_log().has_response()) {
      ++goldens.others;
      continue;
    }
    StatusOr<GoldenRecord> record = record_from(log.predict_log());
    if (!record.ok()) {
      return with_context(record.status(),
                          cat("'", path, "', record ", goldens.records.size() + goldens.others));
    }
    goldens.records.push_back(*std::move(record));
  }
}

std::string goldens_to_file(std::span<const GoldenRecord> records) {
  std::string file;
  for (const GoldenRecord& record : records) {
    tensorflow::serving::PredictionLog log;
    auto& request = *log.mutable_predict_log()->mutable_request();
    auto& response = *log.mutable_predict_log()->mutable_response();
    request.mutable_model_spec()->set_signature_name(record.signature);
    response.mutable_model_spec()->set_signature_name(record.signature);
    for (const auto& [name, tensor] : record.inputs) {
      tensor_to_proto(tensor, (*request.mutable_inputs())[name]);
    }
    for (const auto& [name, tensor] : record.outputs) {
      tensor_to_proto(tensor, (*response.mutable_outputs())[name]);
    }
    append_record(file, log.SerializeAsString());
  }
  return file;
}

}  // namespace tenon
