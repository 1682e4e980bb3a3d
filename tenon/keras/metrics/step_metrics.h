// StepMetrics: the losses and metrics of a compiled model, from what compile() was given to what a
// progress bar shows. Internal to keras/.
#pragma once

#include "tenon/keras/distribute/replicas.h"
#include "tenon/keras/model.h"

namespace tenon::keras {

// What a step knows of one output when losses and metrics are added.
struct JudgedOutput {
  Endpoint y_true, weight;  // invalid: none
  Value y_pred;
  Endpoint loss;  // invalid: none
};

class StepMetrics {
 public:
  explicit StepMetrics(Model& model) : model_(model) {}

  // Makes them for targets and predictions as they are in `graph`, and their variables; the first
  // call alone does anything.
  Status make(std::span<const JudgedOutput> outputs, const Graph& graph);

  // Adds a batch of `rows` to them.
  void update(Trace& trace, Endpoint loss, Endpoint rows,
              std::span<const JudgedOutput> outputs) const;
  // Makes them the results of the step's graph, in the order that read() takes.
  void add_results(Trace& trace) const;
  // Makes their sums the results: of a step of one of several replicas.
  void add_sums(Trace& trace, const Replicas& replicas) const;

  // All their variables, which are 0 when an epoch starts.
  std::vector<Weight*> sums();
  Status reset();

  // Takes what a step has given into logs(), waiting for it.
  Status read(std::span<const Tensor> results);
  // The same of the sums that each replica of this process has given.
  Status read_sums(const Replicas& replicas);
  const Logs& logs() const { return logs_; }

  // Which way is better for what is reported under `name`; nothing where there is no such metric.
  std::optional<Metric::Direction> direction_of(std::string_view name) const;

 private:
  struct Entry {
    MetricPtr metric;
    size_t output = 0;
    enum Kind : uint8_t { kLoss, kOutputLoss, kMetric, kWeightedMetric } kind = kLoss;
    size_t log = 0;  // where in logs_
  };
  Status make_entries(std::span<const JudgedOutput> outputs, const Graph& graph,
                      std::vector<Entry>& entries) const;
  Status make_result_step();

  Model& model_;
  std::vector<Entry> entries_;  // empty until they are made
  Logs logs_;
  // From the sums of all replicas to the results.
  std::shared_ptr<Executable> result_step_;
  std::vector<Tensor> totals_, results_;
};

}  // namespace tenon::keras
