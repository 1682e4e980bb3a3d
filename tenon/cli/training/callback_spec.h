// `--callbacks 'EarlyStopping(patience=3),CSVLogger(log.csv)'`: Keras' callbacks by their names.
#pragma once

#include "tenon/keras/callbacks.h"

namespace tenon::cli {

// BackupAndRestore: checkpoints after each epoch, from the newest of which a training that was
// interrupted goes on.
struct Backup {
  std::string folder;
  bool is_deleted = true;  // when training ends
};

struct CallbackSpecs {
  std::vector<keras::CallbackPtr> callbacks;
  std::optional<Backup> backup;
};

// Arguments by Keras' names, or by position; texts with or without quotes. INVALID_ARGUMENT for an
// argument that the callback has not, UNIMPLEMENTED names the callbacks there are. Without
// `with_files` those that write files are left out: of several workers one writes them.
StatusOr<CallbackSpecs> parse_callbacks(std::string_view text, bool with_files = true);

// Removes the checkpoints in a backup's folder, and the folder where nothing else is in it.
Status delete_backup(const std::string& folder);

}  // namespace tenon::cli
