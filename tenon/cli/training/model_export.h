// A trained model as a SavedModel: for `train --export_dir` and `export`.
#pragma once

#include "tenon/keras/model.h"

namespace tenon::cli {

// In assets.extra of a model that was trained on text labels: ["cat","dog"], the name of each
// class in the order of the numbers.
inline constexpr std::string_view kClassesFile = "classes.json";
// The same of a model trained on columns of a CSV with a header: ["height","width"], in the order
// of the input.
inline constexpr std::string_view kFeaturesFile = "features.json";

// Writes the folder of one version, with signatures `serve` and `serving_default`. The first rows
// of `x` (null: none) become golden records, for several batch sizes. ALREADY_EXISTS unless
// `overwrite`.
Status export_model(const keras::Model& model, const std::string& folder, const keras::Inputs* x,
                    bool overwrite);

// What export_model would fail with before it writes anything.
Status check_export(const keras::Model& model, const keras::Inputs& x);

// The names of an exported model; empty when it has none.
StatusOr<data::Names> exported_data_names(const std::string& folder);

}  // namespace tenon::cli
