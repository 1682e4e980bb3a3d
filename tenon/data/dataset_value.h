// A dataset as a component of an element: what windows() gives, and what a function that makes
// datasets of elements takes.
#pragma once

#include "tenon/data/dataset.h"

namespace tenon::data {

// A variant scalar that holds `dataset`.
Tensor dataset_tensor(DatasetPtr dataset);

// INVALID_ARGUMENT for a tensor that holds none.
StatusOr<DatasetPtr> dataset_in(const Tensor& tensor);

}  // namespace tenon::data
