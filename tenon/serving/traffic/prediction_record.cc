#include "tenon/serving/traffic/prediction_record.h"

#include <bit>

#include "tenon/base/files.h"
#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"
#include "tenon/io/bytes.h"
#include "tenon/io/crc32c.h"
#include "tenon/io/record_io.h"
#include "tenon/serving/inference/inference_messages.h"

namespace tenon::serving {
namespace {

// Fields of PredictionLog.
constexpr uint32_t kLogMetadata = 1, kClassifyLog = 2, kRegressLog = 3, kPredictLog = 6;
// Of its logs, whose request and response have the same fields whatever they are of.
constexpr uint32_t kLogRequest = 1, kLogResponse = 2;

void append_named_tensor(std::string& out, uint32_t number, std::string_view name,
                         const Tensor& tensor) {
  append_message(out, number, [&] {
    append_bytes_field(out, 1, name);
    append_message(out, 2, [&] { append_tensor(out, tensor); });
  });
}

void append_predict_log(std::string& out, const Prediction& prediction) {
  const Signature& signature = *prediction.signature;
  append_message(out, kLogRequest, [&] {
    append_model_spec(out, 1, *prediction.served, signature.name);
    for (size_t i = 0; i < prediction.inputs.size(); ++i) {
      append_named_tensor(out, 2, signature.inputs[i].name, prediction.inputs[i]);
    }
    if (prediction.outputs.size() == signature.outputs.size()) return;
    for (const int output : prediction.outputs) {
      append_bytes_field(out, 3, signature.outputs[static_cast<size_t>(output)].name);
    }
  });
  append_message(out, kLogResponse, [&] {
    for (size_t i = 0; i < prediction.results.size(); ++i) {
      const auto output = static_cast<size_t>(prediction.outputs[i]);
      append_named_tensor(out, 1, signature.outputs[output].name, prediction.results[i]);
    }
    append_model_spec(out, 2, *prediction.served, signature.name);
  });
}

Status append_inference_log(std::string& out, const Prediction& prediction) {
  const InferenceMethod method = prediction.kind == PredictionKind::kClassify
                                     ? InferenceMethod::kClassify
                                     : InferenceMethod::kRegress;
  const Tensor& examples = prediction.inputs[0];
  TENON_ASSIGN_OR_RETURN(const InferenceResult result,
                         inference_result(*prediction.signature, method, prediction.outputs,
                                          prediction.results, examples.dim(0)));
  append_message(out, kLogRequest, [&] {
    append_model_spec(out, 1, *prediction.served, prediction.signature->name);
    append_message(out, 2, [&] {    // Input
      append_message(out, 1, [&] {  // ExampleList
        for (const std::string_view example : examples.span<std::string_view>()) {
          append_bytes_field(out, 1, example);
        }
      });
    });
  });
  append_message(out, kLogResponse, [&] {
    append_result(out, 1, result);
    append_model_spec(out, 2, *prediction.served, prediction.signature->name);
  });
  return absl::OkStatus();
}

// One row of a classification or regression: the labels and scores of its classes, or its value.
struct ResultRow {
  std::vector<std::string_view> labels;
  std::vector<float> scores;

  void add(std::string_view entry) {
    WireReader reader(entry);
    WireField field;
    std::string_view label;
    float score = 0;
    while (reader.next(field)) {
      if (field.is_bytes(1)) label = field.bytes;
      if (field.type == WireType::kFixed32) {
        score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
      }
    }
    labels.push_back(label);
    scores.push_back(score);
  }
};

// Of a ClassificationResult (whose rows hold messages) or RegressionResult (whose rows are one).
std::vector<ResultRow> result_rows(std::string_view result, bool classifies) {
  std::vector<ResultRow> rows;
  WireReader reader(result);
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    ResultRow& row = rows.emplace_back();
    if (!classifies) {
      row.add(field.bytes);
      continue;
    }
    WireReader classes(field.bytes);
    WireField entry;
    while (classes.next(entry)) {
      if (entry.is_bytes(1)) row.add(entry.bytes);
    }
  }
  return rows;
}

// The answer as the tensors that it was made of: a message tells labels from no labels, and scores
// from none, only by their values.
StatusOr<std::map<std::string, Tensor>> result_tensors(std::string_view result, bool classifies) {
  const std::vector<ResultRow> rows = result_rows(result, classifies);
  const auto batch = static_cast<int64_t>(rows.size());
  const auto width = static_cast<int64_t>(rows.empty() ? 0 : rows[0].scores.size());
  const Shape shape = classifies ? Shape({batch, width}) : Shape({batch});
  StringTensorBuilder labels(shape);
  TENON_ASSIGN_OR_RETURN(Tensor scores, Tensor::allocate(DType::kFloat, shape));
  bool any_label = false, any_score = false;
  int64_t at = 0;
  for (const ResultRow& row : rows) {
    if (static_cast<int64_t>(row.scores.size()) != width) {
      return data_loss("rows of a classification differ in their number of classes");
    }
    for (size_t i = 0; i < row.scores.size(); ++i, ++at) {
      any_label = any_label || !row.labels[i].empty();
      any_score = any_score || row.scores[i] != 0;
      labels.set(at, row.labels[i]);
      scores.mutable_data<float>()[at] = row.scores[i];
    }
  }
  std::map<std::string, Tensor> tensors;
  if (!classifies) {
    tensors["outputs"] = std::move(scores);
    return tensors;
  }
  if (any_score) tensors["scores"] = std::move(scores);
  if (any_label) {
    tensors["classes"] = std::move(labels).build();
  }
  return tensors;
}

// A ClassifyLog or RegressLog.
StatusOr<GoldenRecord> inference_record(std::string_view log, bool classifies) {
  MessageField request, response, result;
  WireReader reader(log);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(kLogRequest)) request.add(field.bytes);
    if (field.is_bytes(kLogResponse)) response.add(field.bytes);
  }
  WireReader answer(response.bytes());
  while (answer.next(field)) {
    if (field.is_bytes(1)) result.add(field.bytes);
  }
  if (reader.malformed() || answer.malformed()) return data_loss("a record is malformed");
  TENON_ASSIGN_OR_RETURN(const InferenceRequest parsed, parse_inference_request(request.bytes()));
  TENON_RETURN_IF_ERROR(parsed.examples.status());
  GoldenRecord record;
  record.signature =
      parsed.spec.signature_name.empty() ? kDefaultSignature : parsed.spec.signature_name;
  record.inputs["inputs"] = *parsed.examples;
  TENON_ASSIGN_OR_RETURN(record.outputs, result_tensors(result.bytes(), classifies));
  return record;
}

// Is the record that begins there whole as far as it goes, and longer than what is left of the
// file?
bool ends_within_record(const RandomAccessFile& file, uint64_t begin) {
  constexpr uint64_t kHeader = 12, kFooter = 4;
  const uint64_t left = file.size() - std::min(begin, file.size());
  if (left < kHeader) return left > 0;
  char header[kHeader];
  if (!file.read(begin, header).ok()) return false;
  if (mask_crc(crc32c({header, 8})) != load_le<uint32_t>(header + 8)) return false;
  const auto length = load_le<uint64_t>(header);
  return length > left - kHeader || left - kHeader - length < kFooter;
}

StatusOr<std::optional<GoldenRecord>> logged_record(std::string_view log) {
  WireReader reader(log);
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(kClassifyLog) && !field.is_bytes(kRegressLog)) continue;
    TENON_ASSIGN_OR_RETURN(GoldenRecord record,
                           inference_record(field.bytes, field.number == kClassifyLog));
    return std::optional(std::move(record));
  }
  return parse_golden(log);
}

}  // namespace

StatusOr<std::string> prediction_record(const Prediction& prediction, double sampling_rate,
                                        int64_t seconds_since_1970) {
  std::string out;
  append_message(out, kLogMetadata, [&] {
    append_model_spec(out, 1, *prediction.served, prediction.signature->name);
    append_message(out, 2, [&] {  // SamplingConfig
      append_varint(out, 1 << 3 | static_cast<uint64_t>(WireType::kFixed64));
      append_le(out, std::bit_cast<uint64_t>(sampling_rate));
    });
    append_varint_field(out, 4, static_cast<uint64_t>(seconds_since_1970));
  });
  if (prediction.kind == PredictionKind::kPredict) {
    append_message(out, kPredictLog, [&] { append_predict_log(out, prediction); });
    return out;
  }
  Status status;
  append_message(out, prediction.kind == PredictionKind::kClassify ? kClassifyLog : kRegressLog,
                 [&] { status = append_inference_log(out, prediction); });
  TENON_RETURN_IF_ERROR(status);
  return out;
}

StatusOr<LoggedPredictions> read_request_log(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(path));
  TENON_ASSIGN_OR_RETURN(RecordReader reader, RecordReader::open(path));
  LoggedPredictions log;
  std::string bytes;
  for (;;) {
    const uint64_t begin = reader.offset();
    const StatusOr<bool> more = reader.next(bytes);
    if (!more.ok()) {
      log.cut_off = ends_within_record(*file, begin);
      if (log.cut_off) return log;
      return more.status();
    }
    if (!*more) return log;
    StatusOr<std::optional<GoldenRecord>> record = logged_record(bytes);
    if (!record.ok()) return with_context(record.status(), cat("'", path, "', offset ", begin));
    if (*record) {
      log.records.records.push_back(**std::move(record));
    } else {
      ++log.records.others;
    }
  }
}

}  // namespace tenon::serving
