#include "tenon/keras/metrics/step_metrics.h"

#include "tenon/keras/compile.h"

namespace tenon::keras {

namespace {

// total += part.
Status add_up(const Tensor& part, Tensor& total) {
  const bool known = visit<TypeList<float, int64_t>>(part.dtype(), [&]<class T>() {
    const std::span<const T> from = part.span<T>();
    T* to = total.mutable_data<T>();
    for (size_t i = 0; i < from.size(); ++i) to[i] += from[i];
  });
  return known ? absl::OkStatus() : internal("a metric's sum is of dtype ", part.dtype());
}

LogValue log_value(const Tensor& result) {
  const std::span<const float> values = result.span<float>();
  if (result.rank() == 0) return static_cast<double>(values[0]);
  return LogValue(std::vector<double>(values.begin(), values.end()));
}

}  // namespace

// Names as Keras gives them: "left_accuracy" where there are several outputs; one that is there
// already gets "weighted_" before it, or a number after it.
Status StepMetrics::make_entries(std::span<const JudgedOutput> outputs, const Graph& graph,
                                 std::vector<Entry>& entries) const {
  const std::vector<std::string> names = model_.network_.output_names();
  entries.push_back({loss_mean("loss")});
  const auto losses = std::count_if(outputs.begin(), outputs.end(),
                                    [](const JudgedOutput& output) { return output.loss; });
  std::map<std::string, int> taken = {{"loss", 1}};
  const auto add = [&](MetricPtr metric, size_t output, Entry::Kind kind) {
    const std::string prefix = outputs.size() > 1 ? names[output] + "_" : "";
    std::string name = prefix + metric->name();
    if (taken.count(name) && kind == Entry::kWeightedMetric) {
      name = cat(prefix, "weighted_", metric->name());
    }
    if (const int count = taken[name]++; count > 0) name = cat(name, "_", count);
    metric->rename(std::move(name));
    entries.push_back({std::move(metric), output, kind});
  };
  for (size_t i = 0; i < outputs.size() && losses > 1; ++i) {
    if (outputs[i].loss) add(loss_mean("loss"), i, Entry::kOutputLoss);
  }
  const CompileOptions& options = model_.compile_options_;
  for (const bool weighted : {false, true}) {
    TENON_ASSIGN_OR_RETURN(
        const auto by_output,
        metrics_of_outputs(weighted ? options.weighted_metrics : options.metrics, names));
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!by_output[i].empty() && !outputs[i].y_true) {
        return invalid_argument("output '", names[i], "' has metrics and no targets");
      }
      for (const Json& config : by_output[i]) {
        TENON_ASSIGN_OR_RETURN(MetricPtr metric,
                               metric_from_json(config, graph.value(outputs[i].y_true).shape,
                                                graph.value(outputs[i].y_pred.tensor).shape));
        add(std::move(metric), i, weighted ? Entry::kWeightedMetric : Entry::kMetric);
      }
    }
  }
  return absl::OkStatus();
}

Status StepMetrics::make(std::span<const JudgedOutput> outputs, const Graph& graph) {
  if (!entries_.empty()) return absl::OkStatus();
  std::vector<Entry> entries;
  TENON_RETURN_IF_ERROR(make_entries(outputs, graph, entries));
  logs_.clear();
  for (const Entry& entry : entries) {
    const JudgedOutput& output = outputs[entry.output];
    const auto shape_of = [&](Endpoint e) { return e ? graph.value(e).shape : PartialShape(); };
    TENON_RETURN_IF_ERROR(
        entry.metric->build(shape_of(output.y_true), shape_of(output.y_pred.tensor)));
    logs_.emplace_back(entry.metric->name(), 0.0);
    std::vector<Weight*> state;
    for (Weight& weight : entry.metric->state()) {
      if (model_.state_->variable(weight.path)) {
        TENON_RETURN_IF_ERROR(model_.state_->remove("", weight.path));
      }
      state.push_back(&weight);
    }
    TENON_RETURN_IF_ERROR(model_.create_variables(state));
  }
  std::sort(logs_.begin(), logs_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (Entry& entry : entries) {
    for (size_t i = 0; i < logs_.size(); ++i) {
      if (logs_[i].first == entry.metric->name()) entry.log = i;
    }
  }
  entries_ = std::move(entries);
  return absl::OkStatus();
}

void StepMetrics::update(Trace& trace, Endpoint loss, Endpoint rows,
                         std::span<const JudgedOutput> outputs) const {
  for (const Entry& entry : entries_) {
    const JudgedOutput& output = outputs[entry.output];
    if (entry.kind == Entry::kLoss || entry.kind == Entry::kOutputLoss) {
      // The mean over an epoch weighs each batch by its rows; of one output, each counts the same:
      // Keras asks for the rows where its graph does not know them.
      const bool whole = entry.kind == Entry::kLoss;
      entry.metric->update(trace, {.y_pred = whole ? loss : output.loss,
                                   .sample_weight = whole ? rows : Endpoint()});
      continue;
    }
    const Endpoint weight = entry.kind == Entry::kWeightedMetric ? output.weight : Endpoint();
    entry.metric->update(trace, {output.y_true, output.y_pred.tensor, weight, output.y_pred.mask});
    if (!trace.build().status().ok()) return;
  }
}

void StepMetrics::add_results(Trace& trace) const {
  Graph& graph = trace.build().graph();
  for (const Entry& entry : entries_) {
    graph.results.push_back(entry.metric->result(trace));
    graph.result_names.push_back(entry.metric->name());
  }
}

void StepMetrics::add_sums(Trace& trace, const Replicas& replicas) const {
  Graph& graph = trace.build().graph();
  std::vector<Endpoint> sums;
  for (const Entry& entry : entries_) {
    for (const Weight& sum : std::as_const(*entry.metric).state()) {
      sums.push_back(trace.read(sum));
      graph.result_names.push_back(sum.path);
    }
  }
  graph.results = replicas.sum_over_workers(trace, std::move(sums));
}

std::vector<Weight*> StepMetrics::sums() {
  std::vector<Weight*> sums;
  for (const Entry& entry : entries_) {
    for (Weight& sum : entry.metric->state()) sums.push_back(&sum);
  }
  return sums;
}

Status StepMetrics::reset() {
  for (Weight* sum : sums()) {
    TENON_RETURN_IF_ERROR(sum->variable->assign(zeros_of(*sum)));
  }
  return absl::OkStatus();
}

Status StepMetrics::read(std::span<const Tensor> results) {
  for (size_t i = 0; i < results.size(); ++i) {
    Tensor result = results[i];
    if (device_of(result)) {
      TENON_ASSIGN_OR_RETURN(result, copy_to(result, nullptr));
    }
    logs_[entries_[i].log].second = log_value(result);
  }
  return absl::OkStatus();
}

Status StepMetrics::make_result_step() {
  if (result_step_) return absl::OkStatus();
  Graph graph;
  GraphBuilder g(graph);
  for (const Entry& entry : entries_) {
    std::vector<Endpoint> sums;
    for (const Weight& sum : std::as_const(*entry.metric).state()) {
      sums.push_back(g.arg(sum.path, sum.dtype, PartialShape(sum.shape)));
    }
    graph.results.push_back(entry.metric->result(g, sums));
    graph.result_names.push_back(entry.metric->name());
  }
  TENON_RETURN_IF_ERROR(g.status());
  ExecutableOptions options;
  options.device = cpu_device();  // the sums are on the host
  TENON_ASSIGN_OR_RETURN(
      result_step_,
      Executable::create(std::move(graph), std::make_shared<ModelState>(), std::move(options)));
  return absl::OkStatus();
}

// As Keras' variables that are read over all replicas: the result is one of their sums.
Status StepMetrics::read_sums(const Replicas& replicas) {
  TENON_RETURN_IF_ERROR(make_result_step());
  totals_.clear();
  for (int rank = 0; rank < replicas.size(); ++rank) {
    const std::vector<Tensor>& parts = replicas.results(rank);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (rank == 0) totals_.push_back(parts[i].clone());
      if (rank > 0) TENON_RETURN_IF_ERROR(add_up(parts[i], totals_[i]));
    }
  }
  TENON_RETURN_IF_ERROR(result_step_->run(totals_, results_));
  return read(results_);
}

std::optional<Metric::Direction> StepMetrics::direction_of(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.metric->name() == name) return entry.metric->direction();
  }
  return std::nullopt;
}

}  // namespace tenon::keras
