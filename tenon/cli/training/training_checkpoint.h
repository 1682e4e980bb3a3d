// Checkpoints of a training in progress, in TensorFlow's format (saved_model/checkpoint.h).
#pragma once

#include "tenon/keras/callbacks.h"
#include "tenon/saved_model/checkpoint.h"

namespace tenon::cli {

// A checkpoint, and what Tenon's training notes in it beside the variables: how the model was
// compiled, the names of its data, and what its callbacks had seen.
struct TrainingCheckpoint {
  Checkpoint checkpoint;
  keras::Json details;
  data::Names data_names;
  data::Position data_position;  // where its epoch ended in the data
};

// The newest of a folder; none when it has none. DATA_LOSS when it is damaged.
StatusOr<std::optional<TrainingCheckpoint>> newest_checkpoint(const std::string& folder);

// That of an epoch; none when it is not, or no longer, there.
StatusOr<std::optional<TrainingCheckpoint>> checkpoint_of(const std::string& folder, int64_t epoch);

// Writes one after each epoch: weights, optimizer state, states of random layers and of
// `callbacks`, the epoch, and with which instruction set and threads it was made. Stands after
// `callbacks` in fit(), and gives them their states back from `from` (null: none) when training
// begins. A checkpoint that cannot be written (a full disk) ends the training and leaves the ones
// before as they were. Without `writes` it only gives the states back: of several workers one
// writes.
keras::CallbackPtr checkpoint_callback(const std::string& folder, uint64_t seed,
                                       std::vector<keras::CallbackPtr> callbacks,
                                       const TrainingCheckpoint* from, bool writes = true);

// Sets the variables of a compiled model. Warns where instruction set or threads differ: the bits
// will. FAILED_PRECONDITION when seed, optimizer or loss differ from those of the checkpoint,
// INVALID_ARGUMENT when it is of another model; the model is then as before.
Status resume_training(keras::Model& model, const TrainingCheckpoint& from, uint64_t seed);

// The weights and names of a folder's newest checkpoint alone, for a model that need not be
// compiled. NOT_FOUND when there is none.
Status restore_weights(keras::Model& model, const std::string& folder);
Status restore_weights(keras::Model& model, const TrainingCheckpoint& from);

}  // namespace tenon::cli
