#include "tenon/cli/data_flags.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/model_source.h"
#include "tenon/cli/named_data.h"
#include "tenon/cli/training/model_export.h"
#include "tenon/cli/training/training_checkpoint.h"
#include "tenon/cli/verbs.h"

namespace tenon::cli {
namespace {

struct ExportFlags {
  std::string model, checkpoint_dir, export_dir;
  DataFlags data;
  bool overwrite = false;
};

constexpr Usage kExportUsage = {
    .verb = "export",
    .what =
        "Turns a .keras file, or a model and its newest checkpoint, into a SavedModel. With "
        "data, its first\nrows and the answers to them become golden records.",
    .example = "tenon export --model digits.keras --data test.csv --export_dir digits/1"};

Status export_verb(ExportFlags& flags) {
  TENON_RETURN_IF_ERROR(start_engine());
  if (!flags.model.ends_with(".keras") && flags.checkpoint_dir.empty()) {
    return wrong_usage(cat("--model=", flags.model,
                           " has no weights; give FILE.keras, or --checkpoint_dir beside it"));
  }
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(flags.model, nullptr, {.compile = false}));
  if (!flags.checkpoint_dir.empty()) {
    TENON_RETURN_IF_ERROR(restore_weights(*model, flags.checkpoint_dir));
  }
  ModelData data;
  if (!flags.data.data.empty()) {
    // The data are those to train or judge on: the label column of a CSV is no feature.
    data::Names names = model->data_names();
    TENON_ASSIGN_OR_RETURN(data, read_model_data(flags.data, *model, data::Labels::kPassed, names));
  }
  return export_model(*model, flags.export_dir, data.x.empty() ? nullptr : &data.x,
                      flags.overwrite);
}

}  // namespace

int export_command(Words words) {
  ExportFlags f;
  std::vector<Flag> flags = {
      {"model", &f.model, "FILE", "FILE.keras, or FILE.json with --checkpoint_dir", true},
      {"export_dir", &f.export_dir, "DIR/1", "the SavedModel's version folder", true},
      {"checkpoint_dir", &f.checkpoint_dir, "DIR", "take the weights of its newest checkpoint"},
      {"overwrite", &f.overwrite, "", "replace what stands in the folder"}};
  for (Flag flag : f.data.flags()) {
    flag.required = false;
    flags.push_back(flag);
  }
  return run_verb(kExportUsage, flags, words, [&](const Operands&) { return export_verb(f); });
}

}  // namespace tenon::cli
