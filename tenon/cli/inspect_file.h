// `tenon inspect` on what is no SavedModel: graphs, checkpoints, Keras' files.
#pragma once

#include "tenon/base/status.h"

namespace tenon::cli {

// Whether `path` names such a file: FILE.pb, FILE.pbtxt, FILE.meta, FILE.keras, FILE.h5, or a
// checkpoint by its prefix or its .index file.
bool is_model_file(const std::string& path);

// Prints what is in it, as a table or as one JSON object. Ops are registered before.
Status inspect_file(const std::string& path, bool json);

}  // namespace tenon::cli
