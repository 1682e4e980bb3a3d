// Metric: the mean of one number a sample over an epoch, kept in two variables that the step's
// graph updates. Keras' metrics; the row of a metric in metrics/table.cc holds its function.
#pragma once

#include "tenon/keras/loss.h"

namespace tenon::keras {

class Metric {
 public:
  // One value for each sample (and position).
  using Values = std::function<Endpoint(GraphBuilder&, Endpoint y_true, Endpoint y_pred)>;

  Metric(std::string name, Json config, Values values);

  const std::string& name() const { return name_; }
  // Under which it is reported; variables are named after it. Before it is used.
  void rename(std::string name);
  // As Keras writes it in compile_config: the name, or a serialised object.
  const Json& config() const { return config_; }

  // Adds the ops that take a batch in; `sample_weight`, of rows or of positions too, may be
  // invalid: none.
  void update(Trace& trace, Endpoint y_true, Endpoint y_pred, Endpoint sample_weight) const;
  // As update(), from values: each counts `weight`, one for each value when it is invalid.
  void update_mean(Trace& trace, Endpoint values, Endpoint weight) const;
  // The mean so far; 0 before the first batch.
  Endpoint result(Trace& trace) const;

  // total and count: float32 scalars, to be set to 0 when an epoch starts.
  std::span<Weight> state() { return state_; }

 private:
  // Adds sums of products of values and weights, and of the weights.
  void update_weighted(Trace& trace, Endpoint weighted, Endpoint weight) const;

  std::string name_;
  Json config_;
  Values values_;
  std::array<Weight, 2> state_;
};

using MetricPtr = std::shared_ptr<Metric>;

// From Keras' JSON: a name or a serialised object. "accuracy" becomes the binary, categorical or
// sparse one by the shapes of targets and predictions, as in Keras. The names of losses are metrics
// too. UNIMPLEMENTED names what exists.
StatusOr<MetricPtr> metric_from_json(const Json& json, const PartialShape& y_true,
                                     const PartialShape& y_pred);

}  // namespace tenon::keras
