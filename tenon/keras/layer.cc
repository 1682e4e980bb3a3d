#include "tenon/keras/layer.h"

#include <atomic>
#include <cstring>

namespace tenon::keras {

namespace {

// All that layers work on must be there; operations take numbers too, and an Input nothing.
Status check_first_argument(const Layer& layer, const Call& call) {
  if (layer.is_operation() || layer.class_name() == "InputLayer") return absl::OkStatus();
  bool given = !call.arguments.empty() && call.arguments[0].has_tensors;
  if (given) {
    for_each_leaf(call.arguments[0].form,
                  [&](const Json& leaf) { given = given && leaf == Json(true); });
  }
  if (given) return absl::OkStatus();
  return invalid_argument("a tensor of argument '", layer.parameters()[0], "' is missing");
}

// What a layer's call gives for its symbolic inputs: the ops are added to a graph that is thrown
// away, and their shape functions do the rest.
Status infer_call(Layer& layer, Call& call) {
  TENON_RETURN_IF_ERROR(check_first_argument(layer, call));
  std::vector<PartialShape> shapes;
  for (const KTensor& input : call.inputs) {
    TENON_RETURN_IF_ERROR(input.status());
    shapes.push_back(input.shape());
  }
  TENON_RETURN_IF_ERROR(
      layer.ensure_built(Shapes(arguments_of<PartialShape>(call, std::span(shapes)))));
  Graph graph;
  Trace trace(graph, false);
  trace.set_symbolic();
  std::vector<Value> values;
  for (const KTensor& input : call.inputs) {
    values.emplace_back(trace.build().arg("input", input.dtype(), input.shape()));
  }
  const Outputs outputs =
      layer.apply(trace, Arguments(arguments_of<Value>(call, std::span<const Value>(values))));
  TENON_RETURN_IF_ERROR(trace.build().status());
  for (const Value& output : outputs) {
    call.outputs.push_back(
        {trace.build().shape(output.tensor), trace.build().dtype(output.tensor)});
  }
  if (call.outputs.empty()) return internal("the call gives nothing");
  return absl::OkStatus();
}

// The masks of arguments: "mask" is that of the first one, "query_mask" that of "query".
void hand_in_masks(GraphBuilder& g, Arguments& inputs) {
  constexpr std::string_view kSuffix = "_mask";
  for (const auto& by : inputs.all()) {
    if (by.tensors.empty()) continue;
    const bool of_first = by.name == "mask";
    if (!of_first && !by.name.ends_with(kSuffix)) continue;
    const std::string_view of =
        std::string_view(by.name).substr(0, by.name.size() - kSuffix.size());
    for (auto& argument : inputs.all()) {
      if (of_first ? &argument != &inputs.all()[0] : argument.name != of) continue;
      for (size_t i = 0; i < std::min(argument.tensors.size(), by.tensors.size()); ++i) {
        const Endpoint mask = by.tensors[i].tensor;
        if (mask) argument.tensors[i].mask = g.cast(mask, DType::kBool);
      }
    }
  }
}

// Keras hands the mask that a tensor carries to a call with one tensor argument alone: an LSTM that
// is given its first state sees no mask unless it is given that too.
Arguments masks_of_call(const Layer& layer, Arguments inputs) {
  const auto names = layer.parameters();
  const auto tensors = [](const auto& argument) { return !argument.tensors.empty(); };
  if (std::find(names.begin(), names.end(), "mask") == names.end() || inputs.one("mask").tensor ||
      std::count_if(inputs.all().begin(), inputs.all().end(), tensors) < 2) {
    return inputs;
  }
  for (Value& value : inputs.all()[0].tensors) value.mask = {};
  return inputs;
}

constexpr struct {
  std::string_view name;
  DType variables, compute;
} kPolicies[] = {
    {"float32", DType::kFloat, DType::kFloat},
    {"float64", DType::kDouble, DType::kDouble},
    {"float16", DType::kHalf, DType::kHalf},
    {"bfloat16", DType::kBfloat16, DType::kBfloat16},
    {"mixed_float16", DType::kFloat, DType::kHalf},
    {"mixed_bfloat16", DType::kFloat, DType::kBfloat16},
};

}  // namespace

Tensor zeros_of(const Weight& weight) {
  Tensor value(weight.dtype, weight.shape);
  std::memset(value.mutable_raw(), 0, value.num_bytes());
  return value;
}

StatusOr<DTypePolicy> DTypePolicy::of(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& policy : kPolicies) {
    if (policy.name == name)
      return DTypePolicy{std::string(name), policy.variables, policy.compute};
    names.push_back(policy.name);
  }
  return unimplemented("dtype policy '", name, "' is not implemented; there are ",
                       join(names, ", "));
}

Json DTypePolicy::describe() const {
  return Json::object({{"module", "keras"},
                       {"class_name", "DTypePolicy"},
                       {"config", Json::object({{"name", name}})},
                       {"registered_name", nullptr}});
}

Call::~Call() {
  std::vector<KTensor> doomed = std::move(inputs);
  while (!doomed.empty()) {
    const KTensor last = std::move(doomed.back());
    doomed.pop_back();
    if (!last.call() || last.call().use_count() != 1) continue;
    // Nobody else holds this call, which ends with this pass of the loop.
    std::vector<KTensor>& below = const_cast<Call&>(*last.call()).inputs;
    doomed.insert(doomed.end(), std::make_move_iterator(below.begin()),
                  std::make_move_iterator(below.end()));
    below.clear();
  }
}

const PartialShape& KTensor::shape() const {
  static const PartialShape unknown;
  return index_ < num_outputs() ? call_->outputs[index_].shape : unknown;
}

DType KTensor::dtype() const {
  return index_ < num_outputs() ? call_->outputs[index_].dtype : DType::kInvalid;
}

const Layer& KTensor::layer() const { return *call_->layer; }

size_t KTensor::num_outputs() const { return call_ ? call_->outputs.size() : 0; }

const Status& KTensor::status() const {
  static const Status missing = failed_precondition("a symbolic tensor that no layer has made");
  static const Status beyond = invalid_argument("an output that the layer's call does not have");
  if (!call_ || !call_->status.ok()) return call_ ? call_->status : missing;
  return index_ < call_->outputs.size() ? call_->status : beyond;
}

Layer::Layer() {
  static std::atomic<int64_t> made{0};
  serial_ = made.fetch_add(1, std::memory_order_relaxed);
}

std::vector<Weight*> Layer::stored_weights() {
  std::vector<Weight*> ordered;
  for (WeightKind kind : {WeightKind::kTrainable, WeightKind::kNonTrainable}) {
    for (Weight& weight : weights_) {
      if (weight.kind == kind) ordered.push_back(&weight);
    }
  }
  return ordered;
}

std::span<const std::string_view> Layer::parameters() const {
  static constexpr std::string_view kInputs[] = {"inputs"};
  return kInputs;
}

void Layer::set_trainable(bool trainable) {
  trainable_ = trainable;
  for (const Child& child : children_) child.layer->set_trainable(trainable);
}

namespace {

constexpr std::string_view kActivity = "activity", kActivityRegularizer = "activity_regularizer";

// The rule for a weight among those of its layer.
template <class T>
T rule_for(const std::map<std::string, T, std::less<>>& rules, std::string_view weight) {
  const auto named = [&](std::string_view name) {
    const auto it = rules.find(name);
    return it != rules.end() ? it->second : T();
  };
  constexpr std::string_view kKernel = "kernel", kSuffix = "_kernel";
  if (const T own = named(weight)) return own;
  if (weight == kKernel) return named("depthwise");
  return weight.ends_with(kSuffix) ? named(weight.substr(0, weight.size() - kSuffix.size())) : T();
}

}  // namespace

void Layer::rule_fields(ConfigFields& f, std::initializer_list<std::string_view> names) {
  for (std::string_view name : names) {
    const std::string whose(name.substr(0, name.rfind('_')));
    if (name.ends_with("_constraint")) {
      f.field(name, constraints_[whose]);
    } else {
      f.field(name, regularizers_[whose]);
    }
  }
}

void Layer::hand_rules(Layer& child) const {
  child.regularizers_ = regularizers_;
  child.constraints_ = constraints_;
}

Status Layer::read_options(Json config) {
  if (built_) return failed_precondition(who(), " is built already; options are set before");
  // Keras takes it for every layer, and writes it for some that have none.
  if (const Json* json = config.find(kActivityRegularizer);
      json && !write_config(*this).find(kActivityRegularizer)) {
    StatusOr<Regularizer> regularizer = Regularizer::from_json(*json);
    if (!regularizer.ok()) {
      return with_context(regularizer.status(), cat(who(), ", '", kActivityRegularizer, "'"));
    }
    regularizers_.insert_or_assign(std::string(kActivity), *std::move(regularizer));
    config.set(kActivityRegularizer, nullptr);
  }
  return read_config(*this, config, who());
}

void Layer::set_option(std::string_view name, const Json& value) {
  Status status = read_options(Json::object({{std::string(name), value}}));
  if (option_status_.ok()) option_status_ = std::move(status);
}

Status Layer::ensure_built(const Shapes& inputs) {
  TENON_RETURN_IF_ERROR(option_status_);
  if (built_) return absl::OkStatus();
  for (const PartialShape& shape : inputs.first()) {
    if (!shape.has_rank()) return invalid_argument("the rank of the input is not known");
  }
  TENON_RETURN_IF_ERROR(build(inputs));
  build_shapes_ = inputs;
  built_ = true;
  return absl::OkStatus();
}

void Layer::set_paths(std::string_view prefix) {
  const std::string own = cat(prefix, name_, "/");
  for (Weight& weight : weights_) {
    if (!weight.variable) weight.path = own + weight.name;
  }
  for (const Child& child : children_) child.layer->set_paths(own);
}

Outputs Layer::apply(Trace& trace, Arguments inputs) {
  GraphBuilder& g = trace.build();
  hand_in_masks(g, inputs);
  for (auto& argument : inputs.all()) {
    for (Value& value : argument.tensors) {
      if (!value.tensor || is_operation() || !casts_inputs()) continue;
      if (is_floating(g.dtype(value.tensor))) value.tensor = g.cast(value.tensor, policy_.compute);
    }
  }
  if (!g.status().ok()) return {};
  const DType before = trace.autocast_;
  trace.autocast_ = policy_.compute;
  Outputs outputs = call(trace, masks_of_call(*this, inputs));
  trace.autocast_ = before;
  if (!g.status().ok()) return {};
  if (const Regularizer activity = rule_for(regularizers_, kActivity);
      activity && judges_own_outputs()) {
    for (const Value& output : outputs) trace.add_activity_loss(activity, output.tensor);
    if (!g.status().ok()) return {};
  }
  output_masks(trace, inputs, outputs);
  return outputs;
}

void Layer::output_masks(Trace&, const Arguments& inputs, Outputs& outputs) const {
  if (!supports_masking()) return;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].mask) outputs[i].mask = inputs.mask(i);
  }
}

size_t Layer::add_weight(std::string_view name, Shape shape, Initializer initializer,
                         WeightKind kind) {
  return add_weight(name, std::move(shape), std::move(initializer), kind, policy_.variables);
}

size_t Layer::add_weight(std::string_view name, Shape shape, Initializer initializer,
                         WeightKind kind, DType dtype) {
  Weight weight;
  weight.name = name;
  weight.dtype = dtype;
  weight.shape = std::move(shape);
  weight.initializer = std::move(initializer);
  weight.kind = kind;
  if (kind == WeightKind::kTrainable) {
    weight.regularizer = rule_for(regularizers_, name);
    weight.constraint = rule_for(constraints_, name);
  }
  weights_.push_back(std::move(weight));
  return weights_.size() - 1;
}

void Layer::add_child(std::string_view group, std::shared_ptr<Layer> layer) {
  children_.push_back({std::string(group), std::move(layer)});
}

void visit_layers(const std::shared_ptr<Layer>& layer, std::set<const Layer*>& seen,
                  const std::function<void(Layer&)>& visit) {
  if (!seen.insert(layer.get()).second) return;
  visit(*layer);
  for (const Layer::Child& child : layer->children()) visit_layers(child.layer, seen, visit);
}

std::string Layer::who() const {
  return name_.empty() ? cat("layer ", class_name())
                       : cat("layer '", name_, "' (", class_name(), ")");
}

Json Layer::describe() const {
  Json config =
      Json::object({{"name", name_}, {"trainable", trainable_}, {"dtype", policy_.describe()}});
  const Json own = write_config(*this);
  for (const auto& [name, value] : *own.members()) config.set(name, value);
  if (const Regularizer activity = rule_for(regularizers_, kActivity);
      activity && !config.find(kActivityRegularizer)) {
    config.set(kActivityRegularizer, activity.to_json());
  }
  Json json = Json::object({{"module", "keras.layers"},
                            {"class_name", class_name()},
                            {"config", std::move(config)},
                            {"registered_name", nullptr}});
  if (built_ && !is_built_at_init()) json.set("build_config", describe_build());
  if (holders_ > 1) json.set("shared_object_id", serial_ + 1);
  return json;
}

// Keras' get_build_config(): one shape, or one for each argument but masks.
Json Layer::describe_build() const {
  Json shapes = Json::object();
  for (const auto& argument : build_shapes_.all()) {
    if (argument.tensors.empty() || argument.name.ends_with("mask")) continue;
    Json list{Json::Array()};
    for (const PartialShape& shape : argument.tensors) list.push(shape_to_json(shape));
    const bool is_list = argument.tensors.size() > 1 || (takes_list() && shapes.members()->empty());
    shapes.set(cat(argument.name, "_shape"), is_list ? list : (*list.items())[0]);
  }
  if (shapes.members()->size() == 1) {
    return Json::object({{"input_shape", (*shapes.members())[0].second}});
  }
  return Json::object({{"shapes_dict", std::move(shapes)}});
}

KTensor LayerRef::call(std::vector<KTensor> inputs, std::vector<Call::Argument> arguments,
                       size_t positional) const {
  auto call = std::make_shared<Call>();
  call->layer = layer_;
  call->inputs = std::move(inputs);
  call->arguments = std::move(arguments);
  call->positional = positional;
  call->status = infer_call(*layer_, *call);
  if (!call->status.ok()) call->status = with_context(call->status, layer_->who());
  return KTensor(std::move(call));
}

KTensor LayerRef::call(const std::vector<NamedArgument>& arguments) const {
  const Json slot(true);
  std::vector<KTensor> inputs;
  std::vector<Call::Argument> forms;
  for (const NamedArgument& argument : arguments) {
    Json form = argument.value;
    if (argument.tensors.size() == 1 && !argument.is_list) {
      form = slot;
    } else if (!argument.tensors.empty()) {
      form = Json(Json::Array(argument.tensors.size(), slot));
    }
    inputs.insert(inputs.end(), argument.tensors.begin(), argument.tensors.end());
    forms.push_back({argument.name, !argument.tensors.empty(), std::move(form)});
  }
  const Json usual = layer_->call_kwargs();
  for (const auto& [name, value] : *usual.members()) {
    const bool given = std::any_of(forms.begin(), forms.end(),
                                   [&name = name](const auto& form) { return form.name == name; });
    if (!given) forms.push_back({name, false, value});
  }
  return call(std::move(inputs), std::move(forms), 1);
}

KTensor LayerRef::operator()(std::vector<KTensor> inputs) const {
  const auto names = layer_->parameters();
  if (inputs.empty() || inputs.size() == 1 || layer_->takes_list()) {
    const bool is_list = layer_->takes_list();
    return call(
        {{.name = std::string(names[0]), .tensors = std::move(inputs), .is_list = is_list}});
  }
  std::vector<NamedArgument> arguments;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = i < names.size() ? std::string(names[i]) : cat("argument ", i);
    arguments.push_back({.name = name, .tensors = {inputs[i]}});
  }
  return call(arguments);
}

void for_each_leaf(const Json& form, FunctionRef<void(const Json&)> visit) {
  if (form.items()) {
    for (const Json& item : *form.items()) for_each_leaf(item, visit);
  } else if (form.members()) {
    std::vector<const Json::Member*> members;
    for (const Json::Member& member : *form.members()) members.push_back(&member);
    std::stable_sort(members.begin(), members.end(),
                     [](const auto* a, const auto* b) { return a->first < b->first; });
    for (const Json::Member* member : members) for_each_leaf(member->second, visit);
  } else {
    visit(form);
  }
}

std::string to_snake_case(std::string_view class_name) {
  // keras/src/utils/naming.py: an underscore before a capital that starts a word.
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  std::string out;
  for (size_t i = 0; i < class_name.size(); ++i) {
    const char c = class_name[i];
    if (i > 0 && upper(c) &&
        (lower(class_name[i - 1]) || (i + 1 < class_name.size() && lower(class_name[i + 1])))) {
      out += '_';
    }
    out += upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

Json shape_to_json(const PartialShape& shape) {
  Json::Array dims;
  for (int64_t dim : shape.dims()) {
    if (dim < 0) {
      dims.emplace_back();
    } else {
      dims.emplace_back(dim);
    }
  }
  return Json(std::move(dims));
}

StatusOr<PartialShape> shape_from_json(const Json& json) {
  std::vector<int64_t> dims;
  const auto* items = json.items();
  for (size_t i = 0; items && i < items->size(); ++i) {
    const Json& item = (*items)[i];
    if (!item.is_null() && (!item.integer() || *item.integer() < 0)) items = nullptr;
    if (items) dims.push_back(item.is_null() ? -1 : *item.integer());
  }
  if (!items || dims.size() > static_cast<size_t>(kMaxRank)) {
    return invalid_argument("not a shape: ", json.dump());
  }
  return PartialShape(dims);
}

}  // namespace tenon::keras
