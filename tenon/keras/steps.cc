#include "tenon/keras/steps.h"

#include "tenon/graph/gradient.h"

namespace tenon::keras {

namespace {

// The dimensions of a tensor with the rows left open.
PartialShape open_rows(const Tensor& tensor) {
  PartialShape shape(tensor.shape());
  if (tensor.rank() > 0) shape.set(0, -1);
  return shape;
}

// A batch in the dtype of its symbolic input, whose shape it must have.
Endpoint standardize_input(GraphBuilder& g, Endpoint x, const KTensor& input) {
  if (!x) return {};
  const PartialShape& wanted = input.shape();
  const PartialShape& found = g.shape(x);
  bool fits = found.rank() == wanted.rank();
  for (int axis = 1; fits && axis < wanted.rank(); ++axis) {
    fits = found[axis] < 0 || wanted[axis] < 0 || found[axis] == wanted[axis];
  }
  if (!fits) {
    g.fail(invalid_argument("input '", input.call()->layer->name(), "' has rows of shape ", found,
                            ", the model expects ", wanted));
  }
  return g.cast(x, input.dtype());
}

// Do targets of shape `y` lie element by element beside the model's output? A last dimension of 1
// may lack on either side.
Status check_targets(const Loss& loss, const KTensor& output, const PartialShape& y) {
  if (loss.wants_class_numbers()) return absl::OkStatus();
  const PartialShape& p = output.shape();
  const auto last = [](const PartialShape& shape) { return shape[shape.rank() - 1]; };
  bool fits = y.rank() == p.rank() || (y.rank() + 1 == p.rank() && last(p) == 1) ||
              (p.rank() + 1 == y.rank() && last(y) == 1);
  for (int axis = 1; fits && axis < p.rank() && axis < y.rank(); ++axis) {
    const int64_t a = p[axis], b = y[axis];
    fits = a < 0 || b < 0 || a == b || a == 1 || b == 1;
  }
  if (fits) return absl::OkStatus();
  return invalid_argument("output '", output.call()->layer->name(), "' has shape ", p,
                          ", its targets have ", y, "; the loss '", loss.name(),
                          "' compares them element by element");
}

}  // namespace

Status Steps::make_metrics(const PartialShape& targets) {
  if (has_metrics_) return absl::OkStatus();
  const PartialShape& predictions = model_.network_.outputs[0].shape();
  loss_mean_ = std::make_shared<Metric>("loss", Json(), nullptr);
  const auto make = [&](const std::vector<Json>& configs, std::vector<MetricPtr>& out) -> Status {
    for (const Json& config : configs) {
      TENON_ASSIGN_OR_RETURN(MetricPtr metric, metric_from_json(config, targets, predictions));
      out.push_back(std::move(metric));
    }
    return absl::OkStatus();
  };
  metrics_.clear();
  weighted_metrics_.clear();
  TENON_RETURN_IF_ERROR(make(model_.compile_options_.metrics, metrics_));
  TENON_RETURN_IF_ERROR(make(model_.compile_options_.weighted_metrics, weighted_metrics_));
  std::vector<MetricPtr> all = {loss_mean_};
  all.insert(all.end(), metrics_.begin(), metrics_.end());
  all.insert(all.end(), weighted_metrics_.begin(), weighted_metrics_.end());
  logs_.clear();
  for (const MetricPtr& metric : all) {
    if (find_log(logs_, metric->name())) {
      return invalid_argument("two metrics are named '", metric->name(), "'");
    }
    logs_.emplace_back(metric->name(), 0.0);
    std::vector<Weight*> state;
    for (Weight& weight : metric->state()) {
      if (model_.state_->variable(weight.path)) {
        TENON_RETURN_IF_ERROR(model_.state_->remove("", weight.path));
      }
      state.push_back(&weight);
    }
    TENON_RETURN_IF_ERROR(model_.create_variables(state));
  }
  std::sort(logs_.begin(), logs_.end());
  log_of_result_.clear();
  for (const MetricPtr& metric : all) {
    for (size_t i = 0; i < logs_.size(); ++i) {
      if (logs_[i].first == metric->name()) log_of_result_.push_back(i);
    }
  }
  has_metrics_ = true;
  return absl::OkStatus();
}

Status Steps::reset_metrics() {
  if (!has_metrics_) return absl::OkStatus();
  std::vector<MetricPtr> all = {loss_mean_};
  all.insert(all.end(), metrics_.begin(), metrics_.end());
  all.insert(all.end(), weighted_metrics_.begin(), weighted_metrics_.end());
  for (const MetricPtr& metric : all) {
    for (Weight& weight : metric->state()) {
      TENON_RETURN_IF_ERROR(weight.variable->assign(Tensor::scalar(0.0f)));
    }
  }
  return absl::OkStatus();
}

void Steps::add_loss_and_metrics(Trace& trace, Endpoint loss, Endpoint x, Endpoint y,
                                 Endpoint y_pred, Endpoint weights) {
  GraphBuilder& g = trace.build();
  // The mean over an epoch weighs each batch by its rows.
  const Endpoint rows =
      g.op("StridedSlice", {g.shape_of(x), g.integers({0}), g.integers({1}), g.integers({1})},
           {{"shrink_axis_mask", int64_t{1}}});
  loss_mean_->update_mean(trace, loss, rows);
  for (const MetricPtr& metric : metrics_) metric->update(trace, y, y_pred, {});
  for (const MetricPtr& metric : weighted_metrics_) metric->update(trace, y, y_pred, weights);
  Graph& graph = g.graph();
  const auto result = [&](const Metric& metric) {
    graph.results.push_back(metric.result(trace));
    graph.result_names.push_back(metric.name());
  };
  result(*loss_mean_);
  for (const MetricPtr& metric : metrics_) result(*metric);
  for (const MetricPtr& metric : weighted_metrics_) result(*metric);
}

StatusOr<Graph> Steps::build(StepKind kind, const BatchLayout& layout,
                             std::span<const Tensor> batch) {
  const Network& network = model_.network_;
  if (layout.inputs != network.inputs.size()) {
    return invalid_argument("the model has ", network.inputs.size(), " inputs, ", layout.inputs,
                            " were given");
  }
  Graph graph;
  Trace trace(graph, kind == StepKind::kTrain);
  GraphBuilder& g = trace.build();
  std::vector<Endpoint> args, inputs;
  for (size_t i = 0; i < batch.size(); ++i) {
    const std::string name = i < layout.inputs                          ? cat("x_", i)
                             : i == layout.inputs && layout.has_targets ? "y"
                                                                        : "sample_weight";
    args.push_back(g.arg(name, batch[i].dtype(), open_rows(batch[i])));
    if (i < layout.inputs) {
      inputs.push_back(standardize_input(g, args.back(), network.inputs[i]));
    }
  }
  TENON_RETURN_IF_ERROR(g.status());
  const std::vector<Endpoint> outputs = network.trace(trace, inputs);
  TENON_RETURN_IF_ERROR(g.status());
  if (kind == StepKind::kPredict) {
    graph.results = outputs;
    for (size_t i = 0; i < outputs.size(); ++i) graph.result_names.push_back(cat("output_", i));
    return graph;
  }
  const Endpoint y = args[layout.inputs];
  const Endpoint weights = layout.has_weights ? args.back() : Endpoint{};
  TENON_RETURN_IF_ERROR(check_targets(*model_.loss_, network.outputs[0], g.shape(y)));
  TENON_RETURN_IF_ERROR(make_metrics(g.shape(y)));
  const Endpoint loss = (*model_.loss_)(g, y, outputs[0], weights);
  if (!g.status().ok()) {
    return with_context(g.status(), cat("the loss '", model_.loss_->name(), "' of output '",
                                        network.outputs[0].call()->layer->name(), "'"));
  }
  if (kind == StepKind::kTrain) {
    std::vector<Endpoint> variables;
    for (const Weight* weight : model_.trainable_weights())
      variables.push_back(trace.read(*weight));
    const Endpoint losses[] = {loss};
    TENON_ASSIGN_OR_RETURN(const std::vector<Endpoint> found,
                           gradients(graph, losses, {}, variables));
    model_.optimizer_->apply(trace, found);
  }
  add_loss_and_metrics(trace, loss, args[0], y, outputs[0], weights);
  if (!g.status().ok()) {
    return with_context(
        g.status(), cat("the metrics of output '", network.outputs[0].call()->layer->name(), "'"));
  }
  return graph;
}

Status Steps::prepare(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch) {
  Made& made = made_[static_cast<size_t>(kind)];
  bool fits = made.executable && made.batch.size() == batch.size();
  for (size_t i = 0; fits && i < batch.size(); ++i) {
    fits = made.batch[i].dtype == batch[i].dtype() && made.batch[i].shape.matches(batch[i].shape());
  }
  if (fits) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(Graph graph, build(kind, layout, batch));
  TENON_ASSIGN_OR_RETURN(made.executable, Executable::create(std::move(graph), model_.state_));
  made.batch.clear();
  for (const Tensor& tensor : batch) {
    made.batch.push_back({tensor.dtype(), open_rows(tensor), std::nullopt});
  }
  return absl::OkStatus();
}

Status Steps::run(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch) {
  TENON_RETURN_IF_ERROR(prepare(kind, layout, batch));
  std::vector<Tensor>& results = results_[static_cast<size_t>(kind)];
  TENON_RETURN_IF_ERROR(made_[static_cast<size_t>(kind)].executable->run(batch, results));
  if (kind == StepKind::kPredict) return absl::OkStatus();
  if (kind == StepKind::kTrain) model_.trained_ = true;
  for (size_t i = 0; i < results.size(); ++i) {
    logs_[log_of_result_[i]].second = static_cast<double>(*results[i].data<float>());
  }
  return absl::OkStatus();
}

}  // namespace tenon::keras
