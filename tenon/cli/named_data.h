// Data of models with several inputs or outputs, found by the names that Keras gives these.
#pragma once

#include "tenon/cli/data_flags.h"
#include "tenon/keras/model.h"

namespace tenon::cli {

struct ModelData {
  keras::Inputs x;
  keras::Targets y;  // empty where targets are not read
};

// Does the model have several inputs or outputs?
bool wants_named_data(const keras::Model& model);

// Of an NPZ file, the arrays that are named like inputs and outputs. Of a CSV, the columns: an
// input or output of one number a row is the column of its name, one of n numbers the columns
// NAME_0 to NAME_n-1. Targets of outputs without a loss may lack. INVALID_ARGUMENT names what is
// not there, and what is.
StatusOr<ModelData> read_named_data(const DataFlags& flags, const keras::Model& model,
                                    bool with_targets);

// As read_named_data for such models; for others x and y of the table that the flags describe,
// whose names of classes and features go to `names`, those of the model before.
StatusOr<ModelData> read_model_data(const DataFlags& flags, const keras::Model& model,
                                    data::Labels labels, data::Names& names);

}  // namespace tenon::cli
