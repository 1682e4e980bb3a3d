#include "tenon/keras/model.h"

#include <unistd.h>

#include <atomic>

#include "tenon/keras/compile.h"
#include "tenon/keras/steps.h"
#include "tenon/kernels/philox.h"

namespace tenon::keras {

namespace {

std::atomic<uint64_t> default_seed{0};

// The state of a random layer: [seed, 0], as Keras' SeedGenerator starts.
Tensor first_seed_state(const Weight& weight, uint64_t seed, uint64_t index) {
  const Json config = weight.initializer.to_json()["config"];
  int64_t value = 0;
  if (const int64_t* own = config["value"].integer()) {
    value = *own;
  } else {
    auto generator = kernels::Philox::from_stateless_seed(seed, index);
    value = generator.next()[0] & 0x7fffffff;
  }
  const int64_t state[] = {value, 0};
  return Tensor::vector<int64_t>(state);
}

Status check_weight_bytes(std::span<Weight* const> weights, uint64_t limit) {
  const int64_t pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) {
    limit = std::min(limit, static_cast<uint64_t>(pages) * static_cast<uint64_t>(page));
  }
  uint64_t bytes = 0;
  for (const Weight* weight : weights) {
    if (weight->kind == WeightKind::kSeed) continue;
    const Shape& shape = weight->shape;
    TENON_RETURN_IF_ERROR(with_context(Shape::make(shape.dims(), size_of(weight->dtype)).status(),
                                       cat("weight '", weight->path, "'")));
    const uint64_t own = static_cast<uint64_t>(shape.num_elements()) * size_of(weight->dtype);
    if (own > limit - bytes) {
      return resource_exhausted("the weights up to '", weight->path, "' of shape ", shape,
                                " take more than the ", limit, " bytes that there can be");
    }
    bytes += own;
  }
  return absl::OkStatus();
}

}  // namespace

Tensor match_input_rank(Tensor x, const PartialShape& wanted) {
  if (!x.has_value() || !wanted.has_rank()) return x;
  const int rank = x.rank();
  Shape shape = x.shape();
  if (rank + 1 == wanted.rank() && wanted[rank] == 1) {
    shape.append(1);
  } else if (rank == wanted.rank() + 1 && rank > 1 && x.dim(rank - 1) == 1) {
    shape = Shape(x.shape().dims().first(static_cast<size_t>(rank) - 1));
  }
  return x.reshaped(std::move(shape));
}

const LogValue* find_value(const Logs& logs, std::string_view name) {
  for (const auto& [key, value] : logs) {
    if (key == name) return &value;
  }
  return nullptr;
}

const double* find_log(const Logs& logs, std::string_view name) {
  const LogValue* value = find_value(logs, name);
  return value ? value->number() : nullptr;
}

void set_random_seed(uint64_t seed) { default_seed = seed; }

Model::Model(std::vector<KTensor> inputs, std::vector<KTensor> outputs, ModelOptions options)
    : Model(Network::create(std::move(inputs), std::move(outputs)), false, std::move(options)) {}

Model::Model(StatusOr<Network> network, bool sequential, ModelOptions options)
    : status_(network.status()),
      sequential_(sequential),
      name_(options.name.empty() ? (sequential ? "sequential" : "functional") : options.name),
      seed_(options.seed.value_or(default_seed)),
      state_(std::make_shared<ModelState>()),
      strategy_(std::move(options.strategy)) {
  if (!network.ok()) return;
  network_ = *std::move(network);
  std::vector<Weight*> all;
  visit_all([&](Layer& layer) {
    for (Weight& weight : layer.weights()) all.push_back(&weight);
  });
  status_ = check_weight_bytes(all, options.max_weight_bytes);
  if (status_.ok()) status_ = create_variables(all);
}

Model::~Model() = default;

Sequential::Sequential(std::vector<LayerRef> layers, ModelOptions options)
    : Model(chain_layers(layers), true, std::move(options)) {}

Status Model::create_variables(std::span<Weight* const> weights) {
  for (Weight* weight : weights) {
    const uint64_t index = ++weights_made_;
    if (!weight->variable) {
      weight->variable = make_ref<Variable>(weight->path, weight->dtype, weight->shape);
      Tensor value;
      if (weight->kind == WeightKind::kSeed) {
        value = first_seed_state(*weight, seed_, index);
      } else {
        TENON_ASSIGN_OR_RETURN(
            value, weight->initializer.make(weight->dtype, weight->shape, {seed_, index}));
      }
      TENON_RETURN_IF_ERROR(weight->variable->assign(std::move(value)));
    }
    const auto existing = [&]() -> StatusOr<Ref<Object>> { return Ref<Object>(weight->variable); };
    TENON_ASSIGN_OR_RETURN(const Ref<Object> found,
                           state_->find_or_create("", weight->path, existing));
    if (found.get() != weight->variable.get()) {
      return already_exists("two variables are named '", weight->path, "'");
    }
  }
  return absl::OkStatus();
}

Status Model::check_ready(bool needs_compile) const {
  TENON_RETURN_IF_ERROR(status_);
  if (needs_compile && !compiled()) {
    return failed_precondition("compile() the model before training or evaluating it");
  }
  return absl::OkStatus();
}

Status Model::compile(CompileOptions options) {
  TENON_RETURN_IF_ERROR(status_);
  OptimizerPtr optimizer;
  if (const auto* given = std::get_if<OptimizerPtr>(&options.optimizer)) {
    optimizer = *given;
  } else {
    TENON_ASSIGN_OR_RETURN(optimizer, optimizer_from_json(std::get<Json>(options.optimizer)));
  }
  const std::vector<std::string> names = network_.output_names();
  std::vector<OutputLoss> losses;
  if (const auto* given = std::get_if<LossPtr>(&options.loss)) {
    losses.assign(names.size(), OutputLoss{*given});
  } else {
    TENON_ASSIGN_OR_RETURN(losses, losses_from_json(std::get<Json>(options.loss), names));
  }
  TENON_RETURN_IF_ERROR(set_loss_weights(options.loss_weights, names, losses));
  const bool any = std::any_of(losses.begin(), losses.end(), [](const auto& l) { return l.loss; });
  if (!optimizer || !any) return invalid_argument("compile() needs an optimizer and a loss");
  // Which accuracy is meant, the targets of the first step say; whether there is such a metric does
  // not depend on them.
  for (const auto* metrics : {&options.metrics, &options.weighted_metrics}) {
    TENON_ASSIGN_OR_RETURN(const auto by_output, metrics_of_outputs(*metrics, names));
    for (size_t i = 0; i < by_output.size(); ++i) {
      const PartialShape& y = network_.outputs[i].shape();
      for (const Json& metric : by_output[i]) {
        TENON_RETURN_IF_ERROR(metric_from_json(metric, y, y).status());
      }
    }
  }
  if (optimizer->built()) {
    return invalid_argument("this optimizer is that of another model; make one for each");
  }
  optimizer->build(trainable_weights());
  for (const Weight* weight : optimizer->variables()) {
    if (state_->variable(weight->path)) {
      TENON_RETURN_IF_ERROR(state_->remove("", weight->path));
    }
  }
  TENON_RETURN_IF_ERROR(create_variables(optimizer->variables()));
  optimizer_ = std::move(optimizer);
  losses_ = std::move(losses);
  compile_options_ = std::move(options);
  steps_.reset();
  return absl::OkStatus();
}

std::vector<const Loss*> Model::losses() const {
  std::vector<const Loss*> losses;
  for (const OutputLoss& each : losses_) losses.push_back(each.loss.get());
  return losses;
}

Steps& Model::steps() {
  if (!steps_) steps_ = std::make_unique<Steps>(*this);
  return *steps_;
}

std::optional<Metric::Direction> Model::direction_of(std::string_view name) const {
  return steps_ ? steps_->direction_of(name) : std::nullopt;
}

void Model::visit_all(const std::function<void(Layer&)>& visit) const {
  std::set<const Layer*> seen;
  for (const auto& layer : network_.layers) visit_layers(layer, seen, visit);
}

std::vector<Weight*> Model::weights() const {
  std::vector<Weight*> weights;
  visit_all([&](Layer& layer) {
    for (Weight* weight : layer.stored_weights()) weights.push_back(weight);
  });
  return weights;
}

namespace {

void add_trainable(Layer& layer, std::set<const Layer*>& seen, std::vector<Weight*>& weights) {
  if (!layer.trainable() || !seen.insert(&layer).second) return;
  for (Weight& weight : layer.weights()) {
    if (weight.kind == WeightKind::kTrainable) weights.push_back(&weight);
  }
  for (const Layer::Child& child : layer.children()) add_trainable(*child.layer, seen, weights);
}

}  // namespace

std::vector<Weight*> Model::trainable_weights() const {
  std::set<const Layer*> seen;
  std::vector<Weight*> weights;
  for (const auto& layer : network_.layers) add_trainable(*layer, seen, weights);
  return weights;
}

std::vector<Weight*> Model::checkpoint_variables() const {
  std::vector<Weight*> variables = weights();
  visit_all([&](Layer& layer) {
    for (Weight& weight : layer.weights()) {
      if (weight.kind >= WeightKind::kSeed) variables.push_back(&weight);
    }
  });
  if (optimizer_) {
    for (Weight* weight : optimizer_->variables()) variables.push_back(weight);
  }
  return variables;
}

StatusOr<Graph> Model::forward_graph(bool training) const {
  TENON_RETURN_IF_ERROR(status_);
  Graph graph;
  Trace trace(graph, training);
  std::vector<Value> args;
  const std::vector<std::string> names = network_.input_names();
  for (size_t i = 0; i < names.size(); ++i) {
    const KTensor& input = network_.inputs[i];
    args.emplace_back(trace.build().arg(names[i], input.dtype(), input.shape()));
  }
  const Outputs outputs = network_.trace(trace, args);
  TENON_RETURN_IF_ERROR(trace.build().status());
  // Keras' export() names the results of a model that gives an object by its keys.
  const bool keyed = network_.output_form.is_object();
  const std::vector<std::string> result_names = network_.output_names();
  for (size_t i = 0; i < outputs.size(); ++i) {
    graph.results.push_back(outputs[i].tensor);
    graph.result_names.push_back(keyed ? result_names[i] : cat("output_", i));
  }
  return graph;
}

StatusOr<double> Model::learning_rate() const {
  TENON_RETURN_IF_ERROR(check_ready(true));
  const Weight* rate = optimizer_->learning_rate();
  if (!rate) return failed_precondition("a schedule gives the learning rate");
  TENON_ASSIGN_OR_RETURN(const Tensor value, rate->variable->read());
  return static_cast<double>(*value.data<float>());
}

Status Model::set_learning_rate(double rate) {
  TENON_RETURN_IF_ERROR(check_ready(true));
  const Weight* variable = optimizer_->learning_rate();
  if (!variable) return failed_precondition("a schedule gives the learning rate");
  return variable->variable->assign(Tensor::scalar(static_cast<float>(rate)));
}

}  // namespace tenon::keras
