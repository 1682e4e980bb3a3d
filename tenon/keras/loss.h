// Loss: what training makes small. Keras' losses, reductions and rank rules, as graph ops.
//
// A loss is one file in losses/ and one row in losses/table.cc.
#pragma once

#include "tenon/keras/layer.h"

namespace tenon::keras {

class Loss {
 public:
  virtual ~Loss() = default;

  // "MeanSquaredError" and "mean_squared_error": Keras' names of class and function.
  virtual std::string_view class_name() const = 0;
  virtual std::string_view name() const = 0;
  virtual void fields(ConfigFields& fields) { (void)fields; }

  // One value for each sample (and position), without the class axis; or one for all. A mask says
  // which of them count.
  virtual Value values(GraphBuilder& build, Endpoint y_true, Endpoint y_pred) const = 0;

  // True when y_true holds class numbers: they are checked before a run (check_classes).
  virtual bool wants_class_numbers() const { return false; }
  // A class number that is none, if there is one.
  virtual std::optional<int64_t> ignored_class() const { return std::nullopt; }
  // Does each element of y_true lie beside one of y_pred?
  virtual bool compares_elements() const { return !wants_class_numbers(); }

  // The scalar loss. `sample_weight` and `mask` (of the predictions) may be invalid: none.
  // sum_over_batch_size divides by the number of values that the mask keeps, not by the sum of
  // weights.
  Endpoint operator()(GraphBuilder& build, Endpoint y_true, Endpoint y_pred, Endpoint sample_weight,
                      Endpoint mask = {}) const;

  Json describe() const;

 protected:
  friend StatusOr<std::shared_ptr<Loss>> loss_from_json(const Json& json);
  std::string reduction_ = "sum_over_batch_size";
};

using LossPtr = std::shared_ptr<Loss>;

struct CrossentropyOptions {
  bool from_logits = false;
  double label_smoothing = 0.0;  // not of the sparse one
};
LossPtr SparseCategoricalCrossentropy(CrossentropyOptions options = {});
LossPtr CategoricalCrossentropy(CrossentropyOptions options = {});
LossPtr BinaryCrossentropy(CrossentropyOptions options = {});
LossPtr MeanSquaredError();
LossPtr MeanAbsoluteError();
LossPtr MeanAbsolutePercentageError();
LossPtr MeanSquaredLogarithmicError();
LossPtr LogCosh();
LossPtr Poisson();
LossPtr Huber(double delta = 1);
LossPtr CosineSimilarity();
LossPtr Hinge();
LossPtr SquaredHinge();
LossPtr CategoricalHinge();
LossPtr KLDivergence();

// From Keras' JSON: a name ("mse", "sparse_categorical_crossentropy") or a serialised object.
// UNIMPLEMENTED names the losses that exist.
StatusOr<LossPtr> loss_from_json(const Json& json);

// INVALID_ARGUMENT, naming value, row and the number of classes, when a class number in `y` is no
// class, nor `ignored`; rows count from 1. `first_row` rows of the data stand before y.
Status check_classes(const Tensor& y, int64_t classes, int64_t first_row,
                     std::optional<int64_t> ignored = {});

// Keras' squeeze_or_expand_to_same_rank: a last dimension of 1 is dropped or added where the ranks
// differ by one.
void match_ranks(GraphBuilder& build, Endpoint& a, Endpoint& b);

// Keras' apply_mask: what each value counts, by weight and mask; either may be invalid. With
// `of_all`, the values that are kept count for all, so that a mean over all is one over them.
Endpoint masked_weight(GraphBuilder& build, Endpoint sample_weight, Endpoint mask, bool of_all);

// What the softmax or sigmoid `op` that made `y_pred` was given; invalid when none made it.
// Keras computes cross-entropies from there.
Endpoint logits_of(GraphBuilder& build, Endpoint y_pred, std::string_view op);

}  // namespace tenon::keras
