// What training, evaluation and prediction read: inputs, targets and weights as the columns of one
// dataset, or batches of them as they come. Internal to keras/.
#pragma once

#include "tenon/keras/steps.h"

namespace tenon::keras {

// Checked columns, and where each stands.
struct TrainingColumns {
  data::Element columns;
  BatchLayout layout;
  int64_t rows = 0;
};

// `losses` is empty where nothing is judged. INVALID_ARGUMENT for columns that do not go together
// or not with the model, and for class numbers beyond the classes.
StatusOr<TrainingColumns> training_columns(const Network& network,
                                           std::span<const Loss* const> losses, Inputs x, Targets y,
                                           SampleWeights weights);

// The weight of each row by the class that its target names.
StatusOr<Tensor> weights_of_classes(const Tensor& y, const std::map<int64_t, double>& by_class);

// Batches, and what is known of them.
struct Batches {
  data::DatasetPtr dataset = {};
  BatchLayout layout = {};
  bool checked = false;  // they come from columns that were checked, as `layout` says
};

// Batches of checked columns.
StatusOr<Batches> batches_of(TrainingColumns data, int64_t batch_size);

// Makes an element of a dataset a batch for steps: inputs first, then the targets of the outputs
// with a loss, then weights. Where nothing is judged (`losses` is empty), inputs alone are kept.
Status take_batch(const Network& network, std::span<const Loss* const> losses,
                  const std::map<int64_t, double>& class_weight, Batches& batches,
                  data::Element& batch);

}  // namespace tenon::keras
