// The file of golden records: PredictionLogs in and out of their wire format.
#include "tenon/base/files.h"
#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"
#include "tenon/io/record_io.h"
#include "tenon/saved_model/golden.h"

namespace tenon {
namespace {

// Field numbers: of PredictionLog, PredictLog, PredictRequest, PredictResponse, ModelSpec.
constexpr uint32_t kLogMetadata = 1, kPredictLog = 6, kLastLog = 7;
constexpr uint32_t kRequest = 1, kResponse = 2;
constexpr uint32_t kRequestSpec = 1, kRequestInputs = 2;
constexpr uint32_t kResponseOutputs = 1, kResponseSpec = 2;
constexpr uint32_t kSignatureName = 3;

using TensorMessages = std::map<std::string, MessageField>;

// What is read of one record: serialized messages.
struct LogView {
  bool is_predict = false;
  MessageField predict, request, response, spec;
  TensorMessages inputs, outputs;
  std::string_view signature;
};

// Calls take(field) with each field; false where the message is malformed or take() says so.
template <class Take>
bool for_each_field(std::string_view message, Take take) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (!take(field)) return false;
  }
  return !reader.malformed();
}

bool add_tensor(const WireField& field, TensorMessages& tensors) {
  MapEntry entry;
  if (!parse_map_entry(field.bytes, entry)) return false;
  tensors[std::string(entry.key)] = std::move(entry.message);
  return true;
}

bool parse_predict(LogView& log) {
  return for_each_field(log.predict.bytes(),
                        [&](const WireField& field) {
                          if (field.is_bytes(kRequest)) log.request.add(field.bytes);
                          if (field.is_bytes(kResponse)) log.response.add(field.bytes);
                          return true;
                        }) &&
         for_each_field(log.request.bytes(),
                        [&](const WireField& field) {
                          if (field.is_bytes(kRequestSpec)) log.spec.add(field.bytes);
                          return !field.is_bytes(kRequestInputs) || add_tensor(field, log.inputs);
                        }) &&
         for_each_field(log.spec.bytes(),
                        [&](const WireField& field) {
                          if (field.is_bytes(kSignatureName)) log.signature = field.bytes;
                          return true;
                        }) &&
         for_each_field(log.response.bytes(), [&](const WireField& field) {
           return !field.is_bytes(kResponseOutputs) || add_tensor(field, log.outputs);
         });
}

// Views into `record` and into `log` itself.
bool parse_log(std::string_view record, LogView& log) {
  uint32_t kind = 0;  // of a oneof the last field counts
  const bool whole = for_each_field(record, [&](const WireField& field) {
    if (field.type != WireType::kBytes || field.number == kLogMetadata || field.number > kLastLog) {
      return true;
    }
    if (std::exchange(kind, field.number) != field.number) log.predict = MessageField();
    if (kind == kPredictLog) log.predict.add(field.bytes);
    return true;
  });
  log.is_predict = kind == kPredictLog;
  return whole && (!log.is_predict || parse_predict(log));
}

StatusOr<std::map<std::string, Tensor>> tensors_from(const TensorMessages& messages) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, message] : messages) {
    StatusOr<Tensor> tensor = parse_tensor(message.bytes());
    if (!tensor.ok()) return with_context(tensor.status(), cat("tensor '", name, "'"));
    tensors[name] = *std::move(tensor);
  }
  return tensors;
}

StatusOr<GoldenRecord> record_from(const LogView& log) {
  GoldenRecord record;
  record.signature = log.signature.empty() ? "serving_default" : log.signature;
  TENON_ASSIGN_OR_RETURN(record.inputs, tensors_from(log.inputs));
  TENON_ASSIGN_OR_RETURN(record.outputs, tensors_from(log.outputs));
  return record;
}

void append_tensors(std::string& out, uint32_t number,
                    const std::map<std::string, Tensor>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    append_message(out, number, [&, &name = name, &tensor = tensor] {
      append_bytes_field(out, 1, name);
      append_message(out, 2, [&] { append_tensor(out, tensor); });
    });
  }
}

void append_spec(std::string& out, uint32_t number, std::string_view signature) {
  append_message(out, number, [&] { append_string_field(out, kSignatureName, signature); });
}

std::string serialize_log(const GoldenRecord& record) {
  std::string log;
  append_message(log, kPredictLog, [&] {
    append_message(log, kRequest, [&] {
      append_spec(log, kRequestSpec, record.signature);
      append_tensors(log, kRequestInputs, record.inputs);
    });
    append_message(log, kResponse, [&] {
      append_tensors(log, kResponseOutputs, record.outputs);
      append_spec(log, kResponseSpec, record.signature);
    });
  });
  return log;
}

}  // namespace

StatusOr<std::optional<GoldenRecord>> parse_golden(std::string_view bytes) {
  LogView log;
  if (!parse_log(bytes, log)) {
    return data_loss("it is damaged: it does not parse as a PredictionLog");
  }
  if (!log.is_predict || !log.response.present()) return std::nullopt;
  TENON_ASSIGN_OR_RETURN(GoldenRecord record, record_from(log));
  return std::optional(std::move(record));
}

StatusOr<GoldenRecords> read_goldens(const std::string& folder) {
  GoldenRecords goldens;
  const std::string path = join_path(folder, cat("assets.extra/", kGoldenFile));
  if (!path_exists(path)) return goldens;
  TENON_ASSIGN_OR_RETURN(RecordReader reader, RecordReader::open(path));
  std::string bytes;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, reader.next(bytes));
    if (!more) return goldens;
    StatusOr<std::optional<GoldenRecord>> record = parse_golden(bytes);
    if (!record.ok()) {
      return with_context(record.status(),
                          cat("'", path, "', record ", goldens.records.size() + goldens.others));
    }
    if (*record) {
      goldens.records.push_back(**std::move(record));
    } else {
      ++goldens.others;
    }
  }
}

std::string goldens_to_file(std::span<const GoldenRecord> records) {
  std::string file;
  for (const GoldenRecord& record : records) append_record(file, serialize_log(record));
  return file;
}

}  // namespace tenon
