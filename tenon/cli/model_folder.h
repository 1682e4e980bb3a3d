// Which folder a verb's --model means.
#pragma once

#include "tenon/base/status.h"

namespace tenon::cli {

// The folder of a SavedModel, or the `.tflite`, that `path` names: `path` itself where it is or
// holds one, else the highest of its version folders (1, 2, ...). NOT_FOUND, INVALID_ARGUMENT (a
// file) or PERMISSION_DENIED say what stands there instead.
StatusOr<std::string> model_folder(const std::string& path);

}  // namespace tenon::cli
