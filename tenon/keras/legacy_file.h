// Models as Keras 2, and Keras 3 under the name of a .h5 file, store them: the configuration is an
// attribute of the HDF5 file, the weights of each layer stand under model_weights/<layer> by the
// names and in the order that the attribute weight_names lists.
#pragma once

#include "tenon/keras/model.h"

namespace tenon::keras {

// The model, not compiled: what the file says of training is left. Untrusted bytes; errors as of
// Model::load. INVALID_ARGUMENT for a file of weights alone.
StatusOr<std::unique_ptr<Model>> load_legacy_file(const std::string& path, ModelOptions options);

// A configuration of Keras 2 in the words of Keras 3; one of Keras 3 stays what it is. Only what
// differs for the layers that there are: the shape of inputs, the axis of batch normalisation,
// names of options, and options that Keras 3 has no more.
Json modern_config(const Json& model);

}  // namespace tenon::keras
