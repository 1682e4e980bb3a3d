// Steps: the executables of a compiled model: training step, evaluation step, prediction. Each is
// one graph. Internal to keras/.
#pragma once

#include "tenon/keras/distribute/replicas.h"
#include "tenon/keras/model.h"
#include "tenon/runtime/executable.h"

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
  explicit Steps(Model& model) : model_(model) {}

  // Runs a step on the tensors of a batch. For kTrain and kTest, read_metrics() then gives the
  // running means; for kPredict, outputs() holds the results. On a device a step is begun and not
  // waited for, but for the one before the last: the error may be an earlier step's. Elsewhere it
  // allocates nothing once it has seen a shape.
  Status run(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch);

  // Takes the running means from where the last step left them into metrics(), waiting for it.
  Status read_metrics();
  // Are they to be had without waiting?
  bool metrics_are_at_hand() const { return unread_.empty() || !device_of(unread_[0]); }
  // Sorted by name; as read last.
  const Logs& metrics() const { return logs_; }
  const std::vector<Tensor>& outputs() const { return results_[2]; }

  // Starts the running means anew.
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
  // What a step knows of one output when losses and metrics are added.
  struct Judged {
    Endpoint y_true, weight;  // invalid: none
    Value y_pred;
    Endpoint loss;  // invalid: none
  };
  Status make_metrics(std::span<const Judged> outputs, const Graph& graph);
  Status prepare(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch);
  Status train(Trace& trace, Endpoint loss);
  Status make_replicas();
  Status set_replicas_step(const Graph& graph);
  void take_replicas_results();
  bool is_replicated(StepKind kind) const;
  // `loss` and the penalties: what layers have collected, and those for the trainable weights.
  StatusOr<Endpoint> add_penalties(Trace& trace, Endpoint loss,
                                   std::span<const Endpoint> collected);
  StatusOr<Endpoint> add_losses(Trace& trace, std::span<Judged> outputs);
  void add_metrics(Trace& trace, Endpoint loss, Endpoint x, std::span<const Judged> outputs);
  std::string output_place(size_t output) const;

  Model& model_;
  std::array<Made, 3> made_;
  std::array<std::vector<Tensor>, 3> results_;
  std::span<const Tensor> unread_;   // results that logs_ does not hold yet
  std::array<Tensor, 2> under_way_;  // a result each of the last two steps on a device
  // A running mean, of which output; a loss of its own where `metric` is one.
  struct Mean {
    MetricPtr metric;
    size_t output = 0;
    enum { kLoss, kOutputLoss, kMetric, kWeightedMetric } of = kLoss;
  };
  std::vector<Mean> means_;  // empty until the first step
  Logs logs_;
  std::vector<size_t> log_of_result_;  // where in logs_ a result goes
  std::unique_ptr<Replicas> replicas_;
};

}  // namespace tenon::keras
