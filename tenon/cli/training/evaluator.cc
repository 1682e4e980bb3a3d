#include "tenon/cli/training/evaluator.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/training/training_checkpoint.h"
#include "tenon/observe/event_writer.h"

namespace tenon::cli {
namespace {

constexpr std::chrono::milliseconds kLookForCheckpoints{500};

std::string line_of(int64_t epoch, const keras::Logs& logs, bool json) {
  if (json) return cat(json_logs(cat("\"epoch\":", epoch), logs), "\n");
  std::vector<std::string> parts;
  for (const auto& [name, value] : logs) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.4f", static_cast<double>(value));
    parts.push_back(cat(name, ": ", text));
  }
  return cat("epoch ", epoch, ": ", join(parts, " - "), "\n");
}

Status write_events(EventWriter& writer, int64_t epoch, const keras::Logs& logs) {
  for (const auto& [name, value] : logs) {
    TENON_RETURN_IF_ERROR(
        writer.write_scalar(cat("epoch_", name), epoch - 1, static_cast<float>(value)));
  }
  return writer.flush();
}

}  // namespace

Status evaluate_checkpoints(keras::Model& model, const EvaluatorOptions& options,
                            FunctionRef<StatusOr<keras::Logs>()> evaluate) {
  std::unique_ptr<EventWriter> events;
  if (!options.log_dir.empty()) {
    TENON_ASSIGN_OR_RETURN(events, EventWriter::create(join_path(options.log_dir, "evaluator")));
  }
  for (int64_t judged = 0; judged < options.epochs;) {
    TENON_ASSIGN_OR_RETURN(const auto newest, newest_checkpoint(options.checkpoint_dir));
    const int64_t last = newest ? newest->checkpoint.progress.epoch : 0;
    for (int64_t epoch = judged + 1; epoch <= last; ++epoch) {
      TENON_ASSIGN_OR_RETURN(const auto found, checkpoint_of(options.checkpoint_dir, epoch));
      if (!found) continue;  // only the newest are kept
      TENON_RETURN_IF_ERROR(restore_weights(model, *found));
      TENON_ASSIGN_OR_RETURN(const keras::Logs logs, evaluate());
      print(line_of(epoch, logs, options.json));
      std::fflush(stdout);
      if (events) TENON_RETURN_IF_ERROR(write_events(*events, epoch, logs));
    }
    judged = std::max(judged, last);
    if (judged < options.epochs) std::this_thread::sleep_for(kLookForCheckpoints);
  }
  return absl::OkStatus();
}

}  // namespace tenon::cli
