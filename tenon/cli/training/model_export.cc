#include "tenon/cli/training/model_export.h"

#include "tenon/base/files.h"
#include "tenon/cli/arrays/expression.h"
#include "tenon/core/device.h"
#include "tenon/saved_model/golden.h"
#include "tenon/saved_model/writer.h"

namespace tenon::cli {
namespace {

// Kernels are chosen by batch size, so that one size says little of another.
constexpr int64_t kGoldenBatches[] = {1, 3, 8};

// The rows as the function takes them: its dtype, and the axis that training added or dropped.
StatusOr<Tensor> golden_rows(const Tensor& x, int64_t rows, const Node& arg) {
  const Tensor some = keras::match_input_rank(x.slice(0, rows), arg.outputs[0].shape);
  return convert_tensor(some, arg.outputs[0].dtype);
}

// The records and the manifest that verify needs, from the first rows of the data.
Status add_goldens(const keras::Model& model, const keras::Inputs& x, SavedModelSpec& spec) {
  const Graph& function = spec.endpoints[0].function;
  if (function.args.size() != x.size() || x.empty()) return absl::OkStatus();
  for (const Tensor& each : x) {
    if (each.rank() == 0 || each.dim(0) == 0) return absl::OkStatus();
  }
  std::vector<GoldenRecord> records;
  for (int64_t batch : kGoldenBatches) {
    if (batch > x[0].dim(0)) break;
    std::map<std::string, Tensor> inputs;
    for (size_t i = 0; i < x.size(); ++i) {
      const Node& arg = function.node(function.args[i]);
      TENON_ASSIGN_OR_RETURN(Tensor rows, golden_rows(x[i], batch, arg));
      inputs.emplace(arg.name, std::move(rows));
    }
    TENON_ASSIGN_OR_RETURN(GoldenRecord record, make_golden("serving_default", function,
                                                            model.state(), std::move(inputs)));
    records.push_back(std::move(record));
  }
  GoldenManifest manifest;
  manifest.build = "tenon " TENON_VERSION;
  manifest.isa = cpu_device()->description();
  manifest.precision = "f32";
  spec.assets_extra.emplace(kGoldenFile, goldens_to_file(records));
  spec.assets_extra.emplace(kManifestFile, manifest_to_json(manifest));
  return absl::OkStatus();
}

StatusOr<SavedModelSpec> spec_of(const keras::Model& model, const keras::Inputs* x) {
  SavedModelSpec spec;
  spec.state = model.state().get();
  for (const keras::Weight* weight : model.weights()) {
    spec.variables.push_back({weight->path, weight->kind == keras::WeightKind::kTrainable});
  }
  TENON_ASSIGN_OR_RETURN(Graph function, model.forward_graph());
  spec.endpoints.push_back({.name = "serve", .function = std::move(function)});
  if (x) TENON_RETURN_IF_ERROR(add_goldens(model, *x, spec));
  const data::Names& names = model.data_names();
  for (const auto& [file, list] :
       {std::pair(kClassesFile, &names.classes), std::pair(kFeaturesFile, &names.features)}) {
    if (!list->empty()) spec.assets_extra.emplace(file, keras::Json::array(*list).dump());
  }
  return spec;
}

}  // namespace

Status export_model(const keras::Model& model, const std::string& folder, const keras::Inputs* x,
                    bool overwrite) {
  TENON_ASSIGN_OR_RETURN(SavedModelSpec spec, spec_of(model, x));
  spec.folder = folder;
  spec.overwrite = overwrite;
  return write_saved_model(spec);
}

Status check_export(const keras::Model& model, const keras::Inputs& x) {
  return spec_of(model, &x).status();
}

namespace {

StatusOr<std::vector<std::string>> exported_list(const std::string& folder, std::string_view file) {
  const std::string path = join_path(folder, cat("assets.extra/", file));
  if (!path_exists(path)) return std::vector<std::string>();
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, uint64_t{64} << 20));
  const StatusOr<keras::Json> json = keras::Json::parse(text);
  if (!json.ok()) return with_context(json.status(), path);
  StatusOr<std::vector<std::string>> names = keras::names_from_json(*json);
  if (!names.ok()) return with_context(names.status(), path);
  return names;
}

}  // namespace

StatusOr<data::Names> exported_data_names(const std::string& folder) {
  data::Names names;
  TENON_ASSIGN_OR_RETURN(names.classes, exported_list(folder, kClassesFile));
  TENON_ASSIGN_OR_RETURN(names.features, exported_list(folder, kFeaturesFile));
  return names;
}

}  // namespace tenon::cli
