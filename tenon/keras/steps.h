// Steps: the executables of a compiled model: training step, evaluation step, prediction. Each is
// one graph. Internal to keras/.
#pragma once

#include "tenon/keras/metrics/step_metrics.h"

namespace tenon::keras {

enum class StepKind { kTrain, kTest, kPredict };

// What one batch consists of: so many inputs, and where among its tensors the targets and weights
// of each output stand, -1: nowhere.
struct BatchLayout {
  size_t inputs = 1;
  std::vector<int> targets, weights;
};

class Steps {
 public:
  explicit Steps(Model& model) : model_(model), metrics_(model) {}

  // Runs a step on the tensors of a batch. For kTrain and kTest, read_metrics() then gives the
  // running metrics; for kPredict, outputs() holds the results. On a device a step is begun and not
  // waited for, but for the one before the last: the error may be an earlier step's. Elsewhere it
  // allocates nothing once it has seen a shape.
  Status run(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch);

  // Takes the running metrics from where the last step left them into metrics(), waiting for it.
  Status read_metrics();
  // Are they to be had without waiting?
  bool metrics_are_at_hand() const { return unread_.empty() || !device_of(unread_[0]); }
  // Sorted by name; as read last.
  const Logs& metrics() const { return metrics_.logs(); }
  std::optional<Metric::Direction> direction_of(std::string_view metric) const {
    return metrics_.direction_of(metric);
  }
  const std::vector<Tensor>& outputs() const { return results_[2]; }

  // Starts the running metrics anew.
  Status reset_metrics();

  // Of a model with a strategy, once it has trained; else null.
  const Replicas* replicas() const { return replicas_.get(); }

  // The graph of a step, for tensors of these dtypes and shapes (rows left open).
  StatusOr<Graph> build(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch);

 private:
  struct Made {
    bool ready = false;
    std::shared_ptr<Executable> executable;  // null where replicas have their own
    std::vector<ValueInfo> batch;            // what it was made for
  };
  Status prepare(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch);
  Status train(Trace& trace, Endpoint loss);
  Status make_replicas();
  Status set_replicas_step(const Graph& graph);
  bool is_replicated(StepKind kind) const;
  // `loss` and the penalties: what layers have collected, and those for the trainable weights.
  StatusOr<Endpoint> add_penalties(Trace& trace, Endpoint loss,
                                   std::span<const Endpoint> collected);
  StatusOr<Endpoint> add_losses(Trace& trace, std::span<JudgedOutput> outputs);
  std::string output_place(size_t output) const;

  Model& model_;
  std::array<Made, 3> made_;
  std::array<std::vector<Tensor>, 3> results_;
  StepMetrics metrics_;
  std::span<const Tensor> unread_;  // results that metrics_ has not read yet
  bool replicas_are_unread_ = false;
  std::array<Tensor, 2> under_way_;  // a result each of the last two steps on a device
  std::unique_ptr<Replicas> replicas_;
};

}  // namespace tenon::keras
