// Steps: the executables of a compiled model: training step, evaluation step, prediction. Each is
// one graph. Internal to keras/.
#pragma once

#include "tenon/keras/model.h"
#include "tenon/runtime/executable.h"

namespace tenon::keras {

enum class StepKind { kTrain, kTest, kPredict };

// What one batch consists of; weights stand in it only when there are any.
struct BatchLayout {
  size_t inputs = 1;
  bool has_targets = true;
  bool has_weights = false;
};

class Steps {
 public:
  explicit Steps(Model& model) : model_(model) {}

  // Runs a step on the tensors inputs..., targets, weights. For kTrain and kTest, metrics() then
  // holds the running means; for kPredict, outputs(). Allocates nothing once it has seen a shape.
  Status run(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch);

  // Sorted by name. Valid after a kTrain or kTest step.
  const Logs& metrics() const { return logs_; }
  const std::vector<Tensor>& outputs() const { return results_[2]; }

  // Starts the running means anew.
  Status reset_metrics();

  // The graph of a step, for tensors of these dtypes and shapes (rows left open).
  StatusOr<Graph> build(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch);

 private:
  struct Made {
    std::shared_ptr<Executable> executable;
    std::vector<ValueInfo> batch;  // what it was made for
  };
  Status make_metrics(const PartialShape& targets);
  Status prepare(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch);
  void add_loss_and_metrics(Trace& trace, Endpoint loss, Endpoint x, Endpoint y, Endpoint y_pred,
                            Endpoint weights);

  Model& model_;
  std::array<Made, 3> made_;
  std::array<std::vector<Tensor>, 3> results_;
  MetricPtr loss_mean_;
  std::vector<MetricPtr> metrics_, weighted_metrics_;
  bool has_metrics_ = false;
  Logs logs_;
  std::vector<size_t> log_of_result_;  // where in logs_ a result goes
};

}  // namespace tenon::keras
