// `--callbacks 'EarlyStopping(patience=3),CSVLogger(log.csv)'`: Keras' callbacks by their names.
#pragma once

#include "tenon/keras/callbacks.h"

namespace tenon::cli {

// Arguments by Keras' names, or by position; texts with or without quotes. INVALID_ARGUMENT for an
// argument that the callback has not, UNIMPLEMENTED names the callbacks there are. Without
// `with_files` those that write files are left out: of several workers one writes them.
StatusOr<std::vector<keras::CallbackPtr>> parse_callbacks(std::string_view text,
                                                          bool with_files = true);

}  // namespace tenon::cli
