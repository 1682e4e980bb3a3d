// Predictions as tensorflow.serving.PredictionLog, the record of request logs and warm-up files.
// Functions without state.
#pragma once

#include "tenon/saved_model/golden.h"
#include "tenon/serving/traffic/prediction.h"

namespace tenon::serving {

// The serialized message: a predict_log, classify_log or regress_log with request and response. A
// classification or regression whose results do not have the form of one is INVALID_ARGUMENT.
StatusOr<std::string> prediction_record(const Prediction& prediction, double sampling_rate,
                                        int64_t seconds_since_1970);

// The records of a file of such messages as golden records, predictions as well as classifications
// and regressions. A file that ends within a record, because it is still being written or its
// server was killed, ends with the one before (`cut_off`); other damage is DATA_LOSS.
struct LoggedPredictions {
  GoldenRecords records;
  bool cut_off = false;
};
StatusOr<LoggedPredictions> read_request_log(const std::string& path);

}  // namespace tenon::serving
