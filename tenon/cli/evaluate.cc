#include <unistd.h>

#include "tenon/cli/data_flags.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/model_source.h"
#include "tenon/cli/named_data.h"
#include "tenon/cli/verbs.h"

namespace tenon::cli {
namespace {

struct EvaluateFlags {
  std::string model;
  DataFlags data;
  CompileFlags compile;
  int64_t batch_size = 32, threads = 0;
  bool json = false;
};

constexpr Usage kEvaluateUsage = {
    .verb = "evaluate",
    .what = "Judges a trained model on data: loss and metrics.",
    .example = "tenon evaluate --model digits.keras --data test.csv --json"};

StatusOr<keras::Logs> judge(const DataFlags& flags, keras::Model& model,
                            const keras::EvaluateOptions& options) {
  if (wants_named_data(model)) {
    TENON_ASSIGN_OR_RETURN(data::DatasetPtr rows,
                           open_named_data(flags, model, data::Labels::kKnown));
    return model.evaluate(data::batch(std::move(rows), options.batch_size), options);
  }
  TENON_ASSIGN_OR_RETURN(const data::RowStream stream,
                         flags.open(data::Labels::kKnown, model.data_names(), features_of(model)));
  return model.evaluate(data::batch(stream.rows, options.batch_size), options);
}

Status evaluate(const EvaluateFlags& flags) {
  if (flags.batch_size <= 0) return wrong_usage("--batch_size: expected 1 or more");
  TENON_RETURN_IF_ERROR(start_engine(flags.threads));
  if (!flags.model.ends_with(".keras")) {
    return invalid_argument("--model=", flags.model, ": expected a trained model, FILE.keras");
  }
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(flags.model, nullptr));
  TENON_RETURN_IF_ERROR(compile_model(*model, flags.compile));
  keras::EvaluateOptions options;
  options.batch_size = flags.batch_size;
  options.verbose = flags.json ? 0 : isatty(STDOUT_FILENO) ? 1 : 2;
  TENON_ASSIGN_OR_RETURN(const keras::Logs logs, judge(flags.data, *model, options));
  if (flags.json) print(cat(json_logs("", logs), "\n"));
  return absl::OkStatus();
}

}  // namespace

int evaluate_command(Words words) {
  EvaluateFlags f;
  std::vector<Flag> flags = {{"model", &f.model, "FILE.keras", "the trained model", true}};
  for (const Flag& flag : f.data.flags()) flags.push_back(flag);
  const Flag own[] = {
      {"loss", &f.compile.loss, "NAME|JSON", "where the model's file names none"},
      {"metrics", &f.compile.metrics, "NAMES", "with --loss: accuracy, mae, ..."},
      {"batch_size", &f.batch_size, "N", "rows a step"},
      {"threads", &f.threads, "N", "threads that compute; 0: all"},
      {"json", &f.json, "", "one JSON object"},
  };
  flags.insert(flags.end(), std::begin(own), std::end(own));
  return run_verb(kEvaluateUsage, flags, words, [&](const Operands&) { return evaluate(f); });
}

}  // namespace tenon::cli
