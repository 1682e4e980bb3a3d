#include "tenon/cli/model_export.h"

#include "tenon/base/thread_pool.h"
#include "tenon/cli/arrays/expression.h"
#include "tenon/core/device.h"
#include "tenon/saved_model/golden.h"
#include "tenon/saved_model/writer.h"

namespace tenon::cli {
namespace {

constexpr int64_t kGoldenRows = 4;

// The record and the manifest that verify needs, from the first rows of the data.
Status add_goldens(const keras::Model& model, const Tensor& x, SavedModelSpec& spec) {
  const Graph& function = spec.endpoints[0].function;
  if (function.args.size() != 1 || x.rank() == 0 || x.dim(0) == 0) return absl::OkStatus();
  const Node& arg = function.node(function.args[0]);
  TENON_ASSIGN_OR_RETURN(Tensor rows, convert_tensor(x.slice(0, std::min(kGoldenRows, x.dim(0))),
                                                     arg.outputs[0].dtype));
  TENON_ASSIGN_OR_RETURN(
      const GoldenRecord record,
      make_golden("serving_default", function, model.state(), {{arg.name, std::move(rows)}}));
  GoldenManifest manifest;
  manifest.build = "tenon " TENON_VERSION;
  manifest.isa = cpu_device()->description();
  manifest.precision = "f32";
  spec.assets_extra.emplace(kGoldenFile, goldens_to_file({&record, 1}));
  spec.assets_extra.emplace(kManifestFile, manifest_to_json(manifest));
  return absl::OkStatus();
}

}  // namespace

Status export_model(const keras::Model& model, const std::string& folder, const Tensor* x,
                    bool overwrite) {
  SavedModelSpec spec;
  spec.folder = folder;
  spec.overwrite = overwrite;
  spec.state = model.state().get();
  for (const keras::Weight* weight : model.weights()) {
    spec.variables.push_back({weight->path, weight->kind == keras::WeightKind::kTrainable});
  }
  TENON_ASSIGN_OR_RETURN(Graph function, model.forward_graph());
  spec.endpoints.push_back({.name = "serve", .function = std::move(function)});
  if (x) TENON_RETURN_IF_ERROR(add_goldens(model, *x, spec));
  return write_saved_model(spec);
}

}  // namespace tenon::cli
