// model.weights.h5: weights and optimizer state in Keras 3's layout (formats.md 5.3). Internal to
// keras/.
#pragma once

#include "tenon/keras/model.h"

namespace tenon {
class Hdf5Reader;
}

namespace tenon::keras {

// The file's bytes: layers/<class>[_N]/vars/<i>, and optimizer/vars/<i> when `optimizer` is given.
StatusOr<std::string> encode_weights(const Model& model, const Optimizer* optimizer);

// Sets all weights. Everything is read and checked before anything changes: NOT_FOUND names a layer
// or weight that the file lacks, INVALID_ARGUMENT a shape or dtype that differs.
Status decode_weights(const Hdf5Reader& file, const Model& model);

// Sets the optimizer's variables where the file has as many; otherwise they stay, with a warning in
// the log, as in Keras. False when they stayed.
StatusOr<bool> decode_optimizer(const Hdf5Reader& file, Optimizer& optimizer);

}  // namespace tenon::keras
