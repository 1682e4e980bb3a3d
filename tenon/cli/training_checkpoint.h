// Checkpoints of a training in progress, in TensorFlow's format (saved_model/checkpoint.h).
#pragma once

#include "tenon/keras/callbacks.h"

namespace tenon::cli {

// Writes one after each epoch: weights, optimizer state, states of random layers, the epoch, and
// with which instruction set and threads it was made. A checkpoint that cannot be written (a full
// disk) ends the training and leaves the ones before as they were.
keras::CallbackPtr checkpoint_callback(const std::string& folder, uint64_t seed);

// Restores the newest checkpoint and returns the epochs that it had done; 0 when there is none.
// Warns where instruction set or threads differ: the bits will. INVALID_ARGUMENT when it is of
// another model, DATA_LOSS when it is damaged; the model is then as before.
StatusOr<int64_t> resume_training(keras::Model& model, const std::string& folder);

// The weights of the newest checkpoint alone, for a model that need not be compiled. NOT_FOUND when
// there is none.
Status restore_weights(keras::Model& model, const std::string& folder);

}  // namespace tenon::cli
