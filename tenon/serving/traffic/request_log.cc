#include "tenon/serving/traffic/request_log.h"

#include <ctime>

#include "tenon/base/log.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/base/percent.h"
#include "tenon/serving/traffic/prediction_record.h"

namespace tenon::serving {
namespace {

// SplitMix64 of a counter: evenly distributed, and the threads share nothing else.
bool is_chosen(double rate) {
  if (rate >= 1) return true;
  static std::atomic<uint64_t> state{0x853c49e6748fea9bU};
  uint64_t value = state.fetch_add(0x9e3779b97f4a7c15U, std::memory_order_relaxed);
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
  value = (value ^ value >> 27) * 0x94d049bb133111ebU;
  value ^= value >> 31;
  return static_cast<double>(value >> 11) * 0x1p-53 < rate;
}

// A model's name as part of a file's.
std::string file_name_of(std::string_view model) {
  return percent_encoded(model,
                         [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_'; });
}

}  // namespace

RequestLog::RequestLog(const RequestLogOptions& options)
    : options_(options),
      counts_(options.metrics->counter("/tensorflow/serving/request_log_count",
                                       {"model_name", "status_code"})) {}

StatusOr<std::unique_ptr<RequestLog>> RequestLog::start(const RequestLogOptions& options) {
  std::unique_ptr<RequestLog> log(new RequestLog(options));
  TENON_ASSIGN_OR_RETURN(
      log->queue_,
      PredictionQueue::start(options.queue_bytes, [raw = log.get()](const Prediction& prediction) {
        raw->write(prediction);
      }));
  return log;
}

RequestLog::~RequestLog() {
  if (queue_) queue_->stop(std::chrono::seconds(2));
}

void RequestLog::configure(std::span<const ModelConfig> models) {
  std::map<std::string, Target> targets;
  for (const ModelConfig& model : models) {
    Target target;
    if (model.logging) {
      target.prefix = model.logging->filename_prefix;
      target.rate = model.logging->sampling_rate;
    } else {
      target.prefix = options_.prefix;
      target.rate = options_.sampling_rate;
    }
    if (target.prefix.empty()) continue;
    target.prefix += cat("-", file_name_of(model.name));
    target.dropped = &counts_.cell({model.name, code_name(absl::StatusCode::kResourceExhausted)});
    targets.emplace(model.name, std::move(target));
  }
  const std::unique_lock lock(mutex_);
  targets_ = std::move(targets);
  active_ = !targets_.empty();
}

void RequestLog::predicted(const PredictionView& prediction) {
  if (!active_.load(std::memory_order_relaxed)) return;
  Counter* dropped = nullptr;
  {
    const std::shared_lock lock(mutex_);
    const auto target = targets_.find(prediction.served->model);
    if (target == targets_.end() || !is_chosen(target->second.rate)) return;
    dropped = target->second.dropped;
  }
  if (!queue_->add(prediction)) dropped->add();
}

void RequestLog::write(const Prediction& prediction) {
  Target target;
  {
    const std::shared_lock lock(mutex_);
    const auto found = targets_.find(prediction.served->model);
    if (found == targets_.end()) return;
    target = found->second;
  }
  const Status status = or_out_of_memory([&]() -> Status {
    TENON_ASSIGN_OR_RETURN(const std::string record,
                           prediction_record(prediction, target.rate, std::time(nullptr)));
    return files_.try_emplace(target.prefix, target.prefix, options_.rotation)
        .first->second.append(record);
  });
  count(prediction.served->model, status);
}

void RequestLog::count(const std::string& model, const Status& status) {
  counts_.cell({model, code_name(status.code())}).add();
  const std::string error(message_of(status));
  if (!error.empty() && error != said_) log_error("predictions are not logged: ", error);
  said_ = error;
}

}  // namespace tenon::serving
