#include "tenon/cli/verify.h"

#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/model_folder.h"
#include "tenon/cli/verbs.h"
#include "tenon/saved_model/golden.h"

namespace tenon::cli {
namespace {

struct VerifyFlags {
  std::string model, precision = "f32";
  int64_t threads = 0;
  bool json = false;
};

constexpr Usage kVerifyUsage = {
    .verb = "verify",
    .what =
        "Replays the golden records of a SavedModel, whole, row by row and in larger batches, and "
        "reports by\nhow much the answers drift from those it gave when it was exported.",
    .example = "tenon verify model/1",
    .operands = "[MODEL]",
    .operand_flag = "model"};

StatusOr<GoldenReport> replay(const std::string& folder, Precision precision) {
  LoadOptions options;
  options.executable.precision = precision;
  TENON_ASSIGN_OR_RETURN(const auto model, SavedModel::load(folder, std::move(options)));
  return replay_goldens(*model, precision, GoldenBatches::kOthersToo);
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
  if (json) return;
  for (const auto& [signature, why] : report.exempt) {
    print(cat("signature ", signature, " is not compared: ", why, "\n"));
  }
  if (report.others > 0) print(cat(report.others, " records of other kinds are not replayed\n"));
  print(cat(report.replayed, " records replayed\n"));
}

Status verify(const VerifyFlags& flags) {
  TENON_RETURN_IF_ERROR(start_engine(flags.threads));
  TENON_ASSIGN_OR_RETURN(const Precision precision, parse_precision(flags.precision));
  TENON_ASSIGN_OR_RETURN(const std::string folder, model_folder(flags.model));
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
      {"precision", &f.precision, "f32|bf16", "of multiplications"},
      {"threads", &f.threads, "N", "threads that compute; 0: all"},
      {"json", &f.json, "", "one JSON object an output"},
  };
  return run_verb(kVerifyUsage, flags, words, [&](const Operands&) { return verify(f); });
}

}  // namespace tenon::cli
