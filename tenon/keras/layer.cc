#include "tenon/keras/layer.h"

#include <atomic>

namespace tenon::keras {

namespace {

// What a layer's call gives for these symbolic inputs: the ops are added to a graph that is thrown
// away, and their shape functions do the rest.
Status infer_call(Layer& layer, std::span<const KTensor> inputs, Call& call) {
  std::vector<PartialShape> shapes;
  for (const KTensor& input : inputs) {
    TENON_RETURN_IF_ERROR(input.status());
    shapes.push_back(input.shape());
  }
  TENON_RETURN_IF_ERROR(layer.ensure_built(shapes));
  Graph graph;
  Trace trace(graph, false);
  std::vector<Endpoint> args;
  for (const KTensor& input : inputs) {
    args.push_back(trace.build().arg("input", input.dtype(), input.shape()));
  }
  const Endpoint output = layer.call(trace, args);
  TENON_RETURN_IF_ERROR(trace.build().status());
  call.shape = trace.build().shape(output);
  call.dtype = trace.build().dtype(output);
  return absl::OkStatus();
}

}  // namespace

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
  return call_ ? call_->shape : unknown;
}

DType KTensor::dtype() const { return call_ ? call_->dtype : DType::kInvalid; }

const Status& KTensor::status() const {
  static const Status missing = failed_precondition("a symbolic tensor that no layer has made");
  return call_ ? call_->status : missing;
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

Status Layer::ensure_built(std::span<const PartialShape> inputs) {
  if (built_) return absl::OkStatus();
  for (const PartialShape& shape : inputs) {
    if (!shape.has_rank()) return invalid_argument("the rank of the input is not known");
  }
  TENON_RETURN_IF_ERROR(build(inputs));
  build_shapes_.assign(inputs.begin(), inputs.end());
  built_ = true;
  return absl::OkStatus();
}

size_t Layer::add_weight(std::string_view name, Shape shape, Initializer initializer,
                         WeightKind kind, DType dtype) {
  Weight weight;
  weight.name = name;
  weight.dtype = dtype;
  weight.shape = std::move(shape);
  weight.initializer = std::move(initializer);
  weight.kind = kind;
  weights_.push_back(std::move(weight));
  return weights_.size() - 1;
}

Json Layer::describe() const {
  Json config =
      Json::object({{"name", name_},
                    {"trainable", trainable_},
                    {"dtype", Json::object({{"module", "keras"},
                                            {"class_name", "DTypePolicy"},
                                            {"config", Json::object({{"name", "float32"}})},
                                            {"registered_name", nullptr}})}});
  const Json own = write_config(*this);
  for (const auto& [name, value] : *own.members()) config.set(name, value);
  Json json = Json::object({{"module", "keras.layers"},
                            {"class_name", class_name()},
                            {"config", std::move(config)},
                            {"registered_name", nullptr}});
  if (!built_ || is_built_at_init()) return json;
  Json shapes{Json::Array()};
  for (const PartialShape& shape : build_shapes_) shapes.push(shape_to_json(shape));
  json.set("build_config",
           Json::object({{"input_shape",
                          takes_list() ? std::move(shapes) : shape_to_json(build_shapes_[0])}}));
  return json;
}

KTensor LayerRef::operator()(std::vector<KTensor> inputs) const {
  auto call = std::make_shared<Call>();
  call->layer = layer_;
  call->status = infer_call(*layer_, inputs, *call);
  if (!call->status.ok()) {
    const std::string who =
        layer_->name().empty() ? std::string(layer_->class_name()) : cat("'", layer_->name(), "'");
    call->status = with_context(call->status, cat("layer ", who));
  }
  call->inputs = std::move(inputs);
  return KTensor(std::move(call));
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
  Json json{Json::Array()};
  for (int64_t dim : shape.dims()) json.push(dim < 0 ? Json() : Json(dim));
  return json;
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
