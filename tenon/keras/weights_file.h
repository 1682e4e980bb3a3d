// model.weights.h5: weights and optimizer state in Keras 3's layout (formats.md 5.3). Internal to
// keras/.
#pragma once

#include "tenon/keras/model.h"

namespace tenon {
class Hdf5Reader;
class ZipReader;
}  // namespace tenon

namespace tenon::keras {

// A layer that has attributes for weights of others: Keras' files hold these with it too.
class HasFileWeights {
 public:
  virtual ~HasFileWeights() = default;
  virtual std::vector<Weight*> file_weights() = 0;
};

// The file's bytes: layers/<class>[_N]/vars/<i>, and optimizer/vars/<i> when `optimizer` is given.
StatusOr<std::string> encode_weights(const Model& model, const Optimizer* optimizer);

// Sets all weights. Everything is read and checked before anything changes: NOT_FOUND names a layer
// or weight that the file lacks, INVALID_ARGUMENT a shape or dtype that differs.
Status decode_weights(const Hdf5Reader& file, const Model& model);

// Gives layers the vocabularies that Keras has found in data, the archive's assets. NOT_FOUND names
// one that is missing.
Status decode_vocabularies(const ZipReader& archive, const Hdf5Reader& file, const Model& model);

// Sets the optimizer's variables where the file has as many; otherwise they stay, with a warning in
// the log, as in Keras. False when they stayed.
StatusOr<bool> decode_optimizer(const Hdf5Reader& file, Optimizer& optimizer);

}  // namespace tenon::keras
