// The text file `checkpoint` that names the checkpoints of a folder (CheckpointState).
#pragma once

#include "tenon/base/files.h"

namespace tenon {

struct CheckpointState {
  std::string model_checkpoint_path;  // the newest; relative to the folder, or not
  std::vector<std::string> all_model_checkpoint_paths;  // oldest first
  std::vector<double> all_model_checkpoint_timestamps;  // seconds since 1970, one a path
  double last_preserved_timestamp = 0;
};

StatusOr<CheckpointState> read_checkpoint_state(const std::string& folder);
Status write_checkpoint_state(const std::string& folder, const CheckpointState& state);

// The prefix of the folder's newest checkpoint, ready for BundleReader::open().
StatusOr<std::string> latest_checkpoint(const std::string& folder);

}  // namespace tenon
