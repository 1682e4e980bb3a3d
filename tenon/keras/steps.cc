#include "tenon/keras/steps.h"

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
    g.fail(invalid_argument("input '", input.layer().name(), "' has rows of shape ", found,
                            ", the model expects ", wanted));
  }
  return g.cast(x, input.dtype());
}

// Do targets of shape `y` lie element by element beside the model's output? A last dimension of 1
// may lack on either side.
Status check_targets(const Loss& loss, const KTensor& output, const PartialShape& y) {
  if (!loss.compares_elements()) return absl::OkStatus();
  const PartialShape& p = output.shape();
  const auto last = [](const PartialShape& shape) { return shape[shape.rank() - 1]; };
  bool fits = y.rank() == p.rank() || (y.rank() + 1 == p.rank() && last(p) == 1) ||
              (p.rank() + 1 == y.rank() && last(y) == 1);
  for (int axis = 1; fits && axis < p.rank() && axis < y.rank(); ++axis) {
    const int64_t a = p[axis], b = y[axis];
    fits = a < 0 || b < 0 || a == b || a == 1 || b == 1;
  }
  if (fits) return absl::OkStatus();
  return invalid_argument("output '", output.layer().name(), "' has shape ", p,
                          ", its targets have ", y, "; the loss '", loss.name(),
                          "' compares them element by element");
}

}  // namespace

std::string Steps::output_place(size_t output) const {
  return cat("output '", model_.network_.output_names()[output], "'");
}

Status Steps::reset_metrics() {
  TENON_RETURN_IF_ERROR(metrics_.reset());
  return replicas_ ? replicas_->reset_local() : absl::OkStatus();
}

// The losses of the outputs, and their sum by weight.
StatusOr<Endpoint> Steps::add_losses(Trace& trace, std::span<JudgedOutput> outputs) {
  GraphBuilder& g = trace.build();
  Endpoint total;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto& [loss, weight] = model_.losses_[i];
    JudgedOutput& output = outputs[i];
    if (!loss || !output.y_true) continue;
    TENON_RETURN_IF_ERROR(check_targets(*loss, model_.network_.outputs[i], g.shape(output.y_true)));
    output.loss =
        g.cast((*loss)(g, output.y_true, output.y_pred.tensor, output.weight, output.y_pred.mask),
               DType::kFloat);
    if (!g.status().ok()) {
      return with_context(g.status(), cat("the loss '", loss->name(), "' of ", output_place(i)));
    }
    const Endpoint weighted =
        weight == 1.0 ? output.loss : g.mul(output.loss, g.scalar_of(DType::kFloat, weight));
    total = total ? g.add(total, weighted) : weighted;
  }
  if (!total) return invalid_argument("no output that has a loss has targets");
  return total;
}

// Regularizers judge weights as they are stored, and only what is trained.
StatusOr<Endpoint> Steps::add_penalties(Trace& trace, Endpoint loss,
                                        std::span<const Endpoint> collected) {
  GraphBuilder& g = trace.build();
  for (Endpoint penalty : collected) loss = g.add(loss, g.cast(penalty, DType::kFloat));
  for (const Weight* weight : model_.trainable_weights()) {
    if (!weight->regularizer) continue;
    const Endpoint penalty = weight->regularizer(g, trace.read_stored(*weight));
    loss = g.add(loss, g.cast(penalty, DType::kFloat));
    if (!g.status().ok()) {
      return with_context(g.status(), cat("the regularizer of '", weight->path, "'"));
    }
  }
  return loss;
}

bool Steps::is_replicated(StepKind kind) const {
  return kind == StepKind::kTrain && model_.strategy_;
}

// Adds gradients and their application.
Status Steps::train(Trace& trace, Endpoint loss) {
  const std::vector<Weight*> weights = model_.trainable_weights();
  Optimizer::Combine combine;
  if (trace.replication()) {
    average_statistics(trace, model_.weights());
    loss = share_of_loss(trace, loss);
    combine = [&](std::span<const Endpoint> clipped, std::span<Weight* const> whose) {
      const bool all_count = model_.optimizer_->accumulates();
      return sum_gradients(trace, clipped, whose, model_.strategy_->bucket_bytes(), all_count);
    };
  }
  const Endpoint scaled = model_.optimizer_->scale_loss(trace, loss);
  TENON_ASSIGN_OR_RETURN(const std::vector<WeightGradient> found,
                         weight_gradients(trace, scaled, weights));
  model_.optimizer_->apply(trace, found, combine);
  return absl::OkStatus();
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
  std::vector<Endpoint> args;
  std::vector<Value> inputs;
  for (size_t i = 0; i < batch.size(); ++i) {
    const std::string name = i < layout.inputs ? cat("x_", i) : cat("y_", i - layout.inputs);
    args.push_back(g.arg(name, batch[i].dtype(), open_rows(batch[i])));
    if (i < layout.inputs) {
      inputs.emplace_back(standardize_input(g, args.back(), network.inputs[i]));
    }
  }
  if (is_replicated(kind)) {
    TENON_RETURN_IF_ERROR(make_replicas());
    replicas_->describe(trace);
  }
  TENON_RETURN_IF_ERROR(g.status());
  std::vector<Endpoint> penalties;
  if (kind != StepKind::kPredict) trace.collect_losses(penalties);
  const Outputs outputs = network.trace(trace, inputs);
  TENON_RETURN_IF_ERROR(g.status());
  if (kind == StepKind::kPredict) {
    for (size_t i = 0; i < outputs.size(); ++i) {
      graph.results.push_back(outputs[i].tensor);
      graph.result_names.push_back(cat("output_", i));
    }
    return graph;
  }
  std::vector<JudgedOutput> judged(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto place = [&](const std::vector<int>& places) {
      const bool given = i < places.size() && places[i] >= 0;
      return given ? args[static_cast<size_t>(places[i])] : Endpoint();
    };
    judged[i] = {place(layout.targets), place(layout.weights), outputs[i], {}};
  }
  TENON_ASSIGN_OR_RETURN(Endpoint loss, add_losses(trace, judged));
  TENON_ASSIGN_OR_RETURN(loss, add_penalties(trace, loss, penalties));
  TENON_RETURN_IF_ERROR(metrics_.make(judged, graph));
  if (kind == StepKind::kTrain) TENON_RETURN_IF_ERROR(train(trace, loss));
  metrics_.update(trace, loss, g.dim(args[0], 0), judged);
  if (is_replicated(kind)) {
    metrics_.add_sums(trace, *replicas_);
  } else {
    metrics_.add_results(trace);
  }
  if (!g.status().ok()) {
    const std::string whose = judged.size() == 1 ? output_place(0) : "the outputs";
    return with_context(g.status(), cat("the metrics of ", whose));
  }
  return graph;
}

Status Steps::prepare(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch) {
  Made& made = made_[static_cast<size_t>(kind)];
  bool fits = made.ready && made.batch.size() == batch.size();
  for (size_t i = 0; fits && i < batch.size(); ++i) {
    fits = made.batch[i].dtype == batch[i].dtype() && made.batch[i].shape.matches(batch[i].shape());
  }
  if (fits) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(Graph graph, build(kind, layout, batch));
  made.ready = false;
  if (is_replicated(kind)) {
    TENON_RETURN_IF_ERROR(set_replicas_step(graph));
  } else {
    TENON_ASSIGN_OR_RETURN(made.executable, Executable::create(std::move(graph), model_.state_));
  }
  made.ready = true;
  made.batch.clear();
  for (const Tensor& tensor : batch) {
    made.batch.push_back({tensor.dtype(), open_rows(tensor), std::nullopt});
  }
  return absl::OkStatus();
}

Status Steps::make_replicas() {
  if (replicas_) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(
      replicas_, Replicas::create(*model_.strategy_, model_.state_, model_.checkpoint_variables()));
  return absl::OkStatus();
}

Status Steps::set_replicas_step(const Graph& graph) {
  TENON_RETURN_IF_ERROR(replicas_->set_local(metrics_.sums()));
  return replicas_->set_step(graph);
}

Status Steps::run(StepKind kind, const BatchLayout& layout, std::span<const Tensor> batch) {
  TENON_RETURN_IF_ERROR(prepare(kind, layout, batch));
  if (is_replicated(kind)) {
    TENON_RETURN_IF_ERROR(replicas_->run(batch));
    model_.trained_ = true;
    unread_ = {};
    replicas_are_unread_ = true;
    return absl::OkStatus();
  }
  replicas_are_unread_ = false;
  std::vector<Tensor>& results = results_[static_cast<size_t>(kind)];
  Executable& step = *made_[static_cast<size_t>(kind)].executable;
  if (kind == StepKind::kPredict) return step.run(batch, results);
  // The host goes no further ahead, so that no more batches wait on the device.
  TENON_RETURN_IF_ERROR(wait_for(under_way_[0]));
  unread_ = {};
  TENON_RETURN_IF_ERROR(step.start(batch, results));
  if (kind == StepKind::kTrain) model_.trained_ = true;
  unread_ = results;
  under_way_[0] = std::move(under_way_[1]);
  under_way_[1] = device_of(results[0]) ? results[0] : Tensor();
  return absl::OkStatus();
}

Status Steps::read_metrics() {
  if (std::exchange(replicas_are_unread_, false)) return metrics_.read_sums(*replicas_);
  const std::span<const Tensor> results = std::exchange(unread_, {});
  return metrics_.read(results);
}

}  // namespace tenon::keras
