// Data of models with several inputs or outputs, found by the names that Keras gives these.
#pragma once

#include "tenon/cli/data_flags.h"
#include "tenon/data/named_rows.h"
#include "tenon/keras/model.h"

namespace tenon::cli {

struct ModelData {
  keras::Inputs x;
  keras::Targets y;  // empty where targets are not read
};

// Does the model have several inputs or outputs?
bool wants_named_data(const keras::Model& model);

// What features are read as for an input of `dtype`, and for the one input of the model.
data::Features features_of(DType dtype);
data::Features features_of(const keras::Model& model);

// See data::open_named_rows().
StatusOr<data::NamedRows> open_named_data(const DataFlags& flags,
                                          std::vector<data::NamedTensor> wanted,
                                          data::Labels labels);

// Row by row: the inputs and, where labels are read, the targets of the outputs with a loss.
StatusOr<data::DatasetPtr> open_named_data(const DataFlags& flags, const keras::Model& model,
                                           data::Labels labels);

// In memory; there, targets of outputs without a loss are taken too.
StatusOr<ModelData> read_named_data(const DataFlags& flags, const keras::Model& model,
                                    data::Labels labels);

// As read_named_data for such models; for others x and y of the table that the flags describe,
// whose names of classes and features go to `names`, those of the model before.
StatusOr<ModelData> read_model_data(const DataFlags& flags, const keras::Model& model,
                                    data::Labels labels, data::Names& names);

}  // namespace tenon::cli
