// A trained model as a SavedModel: for `train --export_dir` and `export`.
#pragma once

#include "tenon/keras/model.h"

namespace tenon::cli {

// Writes the folder of one version, with signatures `serve` and `serving_default`. The first rows
// of `x` (null: none) become golden records. ALREADY_EXISTS unless `overwrite`.
Status export_model(const keras::Model& model, const std::string& folder, const Tensor* x,
                    bool overwrite);

}  // namespace tenon::cli
