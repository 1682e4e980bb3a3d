#include "tenon/cli/verify.h"

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/model_folder.h"
#include "tenon/cli/verbs.h"
#include "tenon/saved_model/golden.h"
#include "tenon/serving/traffic/prediction_record.h"

namespace tenon::cli {
namespace {

struct VerifyFlags {
  std::string model, precision = "f32";
  std::vector<std::string> replay;
  int64_t threads = 0;
  bool json = false;
};

constexpr Usage kVerifyUsage = {
    .verb = "verify",
    .what =
        "Replays the golden records of a SavedModel, whole, row by row and in larger batches, and "
        "reports by\nhow much the answers drift from those it gave when it was exported; or the "
        "predictions in request\nlogs, and how much the model's answers drift from those.",
    .example = "tenon verify model/1\n  tenon verify model/2 --replay logs/requests-digits",
    .operands = "[MODEL] [FILE ...]",
    .operand_flag = "model"};

StatusOr<GoldenReport> replay(const std::string& folder, Precision precision) {
  LoadOptions options;
  options.executable.precision = precision;
  TENON_ASSIGN_OR_RETURN(const auto model, SavedModel::load(folder, std::move(options)));
  return replay_goldens(*model, precision, GoldenBatches::kOthersToo);
}

// The files that a word names: itself, those of a folder, or those whose names begin so.
StatusOr<std::vector<std::string>> logs_named(const std::string& word) {
  if (path_exists(word) && !is_directory(word)) return std::vector{word};
  const size_t slash = word.rfind('/');
  std::string folder = slash == std::string::npos ? "." : word.substr(0, slash + 1);
  std::string beginning = word.substr(slash == std::string::npos ? 0 : slash + 1);
  if (is_directory(word)) {
    folder = word;
    beginning.clear();
  }
  std::vector<std::string> logs;
  if (is_directory(folder)) {
    TENON_ASSIGN_OR_RETURN(const std::vector<std::string> names, list_directory(folder));
    for (const std::string& name : names) {
      const bool is_log = name.starts_with(beginning) && name.ends_with(".tfrecord");
      if (is_log) logs.push_back(join_path(folder, name));
    }
  }
  if (logs.empty()) return not_found("'", word, "' is no request log, and begins the name of none");
  return logs;
}

void add_report(GoldenReport more, GoldenReport& report) {
  for (OutputDrift& output : more.outputs) {
    output.record += report.replayed + report.others;
    report.outputs.push_back(std::move(output));
  }
  report.replayed += more.replayed;
  report.others += more.others;
  report.exempt.merge(more.exempt);
}

StatusOr<GoldenReport> replay_logs(const std::string& folder, Precision precision,
                                   std::span<const std::string> words) {
  LoadOptions options;
  options.executable.precision = precision;
  TENON_ASSIGN_OR_RETURN(const auto model, SavedModel::load(folder, std::move(options)));
  GoldenReport report;
  for (const std::string& word : words) {
    TENON_ASSIGN_OR_RETURN(const std::vector<std::string> logs, logs_named(word));
    for (const std::string& path : logs) {
      TENON_ASSIGN_OR_RETURN(const auto log, serving::read_request_log(path));
      if (log.cut_off) log_warning("'", path, "' ends within a record, which is left out");
      TENON_ASSIGN_OR_RETURN(GoldenReport more, replay_records(*model, log.records, precision,
                                                               GoldenBatches::kAsRecorded));
      add_report(std::move(more), report);
    }
  }
  return report;
}

// OK when no output is missed and there is at least one record.
Status judge_logs(const std::string& folder, const GoldenReport& report) {
  if (report.replayed == 0) return not_found("the request logs hold nothing to replay");
  size_t missed = 0;
  for (const OutputDrift& output : report.outputs) missed += output.passed ? 0 : 1;
  if (missed == 0) return absl::OkStatus();
  return failed_precondition("'", folder, "' misses ", missed, " of ", report.outputs.size(),
                             " logged outputs");
}

// What is missed, and each output in sum.
void print_log_report(const GoldenReport& report) {
  struct Sum {
    size_t records = 0, missed = 0;
    double drift = 0;
  };
  std::map<std::string, Sum> sums;
  for (const OutputDrift& output : report.outputs) {
    Sum& sum = sums[cat(output.signature, "/", output.output)];
    ++sum.records;
    sum.drift = std::max(sum.drift, output.drift);
    if (output.passed) continue;
    ++sum.missed;
    print(cat("record ", output.record + 1, "  ", output.signature, "/", output.output,
              "  MISSED: ", message_of(output.status), "\n"));
  }
  for (const auto& [name, sum] : sums) {
    print(cat(name, "  ", sum.records, " records, ", sum.missed, " missed, largest drift ",
              sum.drift, "\n"));
  }
}

// OK when all records pass and there is at least one.
Status judge(const std::string& folder, const GoldenReport& report) {
  if (report.replayed == 0) {
    return not_found("'", folder, "' has no golden records to replay; `tenon export` writes them");
  }
  for (const OutputDrift& output : report.outputs) {
    if (output.passed) continue;
    return failed_precondition("'", folder, "' misses its golden records: record ",
                               output.record + 1, ", signature ", output.signature, ", output '",
                               output.output, "': ", message_of(output.status));
  }
  return absl::OkStatus();
}

void print_rest(const GoldenReport& report) {
  for (const auto& [signature, why] : report.exempt) {
    print(cat("signature ", signature, " is not compared: ", why, "\n"));
  }
  if (report.others > 0) print(cat(report.others, " records of other kinds are not replayed\n"));
  print(cat(report.replayed, " records replayed\n"));
}

void print_report(const GoldenReport& report, bool json) {
  for (const OutputDrift& output : report.outputs) {
    if (json) {
      print(cat("{\"record\":", output.record, ",\"signature\":", json_string(output.signature),
                ",\"output\":", json_string(output.output), ",\"drift\":", output.drift,
                ",\"allowed\":", output.allowed, ",\"passed\":", output.passed, "}\n"));
    } else {
      print(cat("record ", output.record + 1, "  ", output.signature, "/", output.output,
                "  drift ", output.drift, ", allowed ", output.allowed, "  ",
                output.passed ? "ok" : "MISSED", "\n"));
    }
  }
  if (!json) print_rest(report);
}

Status verify(const VerifyFlags& flags) {
  TENON_RETURN_IF_ERROR(start_engine(flags.threads));
  TENON_ASSIGN_OR_RETURN(const Precision precision, parse_precision(flags.precision));
  TENON_ASSIGN_OR_RETURN(const std::string folder, model_folder(flags.model));
  if (!flags.replay.empty()) {
    TENON_ASSIGN_OR_RETURN(const GoldenReport report, replay_logs(folder, precision, flags.replay));
    if (flags.json) {
      print_report(report, true);
    } else {
      print_log_report(report);
      print_rest(report);
    }
    return judge_logs(folder, report);
  }
  TENON_ASSIGN_OR_RETURN(const GoldenReport report, replay(folder, precision));
  print_report(report, flags.json);
  return judge(folder, report);
}

}  // namespace

Status verify_model(const std::string& folder) {
  if (!OpRegistry::global().find("Const")) TENON_RETURN_IF_ERROR(start_engine());
  TENON_ASSIGN_OR_RETURN(const GoldenReport report, replay(folder, Precision::kFloat32));
  return judge(folder, report);
}

int verify_command(Words words) {
  VerifyFlags f;
  const Flag flags[] = {
      {"model", &f.model, "DIR", "the SavedModel", true, "dir,model_base_path"},
      {"replay", &f.replay, "FILE,...",
       "request logs instead of golden records: files, folders, or how names begin"},
      {"precision", &f.precision, "f32|bf16", "of multiplications"},
      {"threads", &f.threads, "N", "threads that compute; 0: all"},
      {"json", &f.json, "", "one JSON object an output"},
  };
  return run_verb(kVerifyUsage, flags, words, [&](const Operands& words_left) {
    if (!words_left.empty() && f.replay.empty()) {
      return wrong_usage(cat("'", words_left[0], "' is one word too many; expected one model"));
    }
    f.replay.insert(f.replay.end(), words_left.begin(), words_left.end());
    return verify(f);
  });
}

}  // namespace tenon::cli
