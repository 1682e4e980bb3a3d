#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// More steps than are worth a copy of the layer's ops each.
constexpr int64_t kMostCopies = 256;

// A layer for each step of a sequence. Steps are rows to it, unless they are not independent: a
// layer with state, batch normalisation say, sees one step after the other in training.
class TimeDistributedLayer final : public Layer {
 public:
  TimeDistributedLayer() = default;
  explicit TimeDistributedLayer(std::shared_ptr<Layer> layer) { set_layer(std::move(layer)); }
  std::string_view class_name() const override { return "TimeDistributed"; }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"inputs", "mask"};
    return kParameters;
  }
  bool supports_masking() const override { return true; }
  void fields(ConfigFields& f) override {
    std::shared_ptr<Layer> layer = layer_;
    f.layer("layer", layer);
    if (!layer_ && layer) set_layer(std::move(layer));
  }
  Status build(const Shapes& inputs) override {
    if (!layer_) return invalid_argument("'layer' is missing");
    const PartialShape& shape = inputs[0];
    if (shape.rank() < 3) {
      return invalid_argument("the input has shape ", shape, ", expected 3 dimensions or more");
    }
    const Status status = layer_->ensure_built(Shapes(std::vector<PartialShape>{step(shape)}));
    return status.ok() ? status : with_context(status, layer_->who());
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const PartialShape shape = g.shape(inputs[0]);
    const Endpoint mask = inputs.mask(0);
    if (mask && (g.shape(mask).rank() < 2 ||
                 !PartialShape::merge(PartialShape{g.shape(mask)[0], g.shape(mask)[1]},
                                      PartialShape{shape[0], shape[1]})
                      .ok())) {
      g.fail(invalid_argument("the mask has shape ", g.shape(mask), ", the input ", shape));
      return {};
    }
    std::set<const Layer*> seen;
    bool has_state = false;
    visit_layers(layer_, seen, [&](Layer& each) {
      for (const Weight& weight : each.weights()) {
        has_state |= weight.kind != WeightKind::kTrainable;
      }
    });
    return has_state && trace.training() ? step_by_step(trace, inputs, shape)
                                         : steps_as_rows(trace, inputs, shape);
  }

 private:
  void set_layer(std::shared_ptr<Layer> layer) {
    layer_ = std::move(layer);
    if (layer_->name().empty()) layer_->set_name(to_snake_case(layer_->class_name()));
    add_child("layer", layer_);
  }
  static PartialShape step(const PartialShape& shape) {
    std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
    dims.erase(dims.begin() + 1);
    return PartialShape(dims);
  }

  Outputs steps_as_rows(Trace& trace, const Arguments& inputs, const PartialShape& shape) {
    GraphBuilder& g = trace.build();
    const auto merge = [&](Endpoint x) -> Endpoint {
      if (!x || !g.status().ok()) return {};
      return with_front(g, x, {-1}, g.integers({-1}), x, 2);
    };
    const Outputs out = apply_layer(trace, merge(inputs[0]), merge(inputs.mask(0)));
    if (!g.status().ok()) return {};
    const Endpoint y = out[0].tensor;
    const Endpoint rows_and_steps = g.slice(g.shape_of(inputs[0]), 0, 2);
    return with_front(g, y, {-1, shape[1]}, rows_and_steps, y, 1);
  }

  // `x` with the dimensions `front`, as numbers where all are known but the first, else
  // `front_shape`, and then those of `like` from `from` on.
  static Endpoint with_front(GraphBuilder& g, Endpoint x, std::vector<int64_t> front,
                             Endpoint front_shape, Endpoint like, int from) {
    const PartialShape shape = g.shape(like);
    std::vector<int64_t> dims = std::move(front);
    for (int axis = from; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
    if (std::all_of(dims.begin() + 1, dims.end(), [](int64_t dim) { return dim >= 0; })) {
      return g.reshape(x, g.integers(dims));
    }
    const Endpoint rest = g.slice(g.shape_of(like), from, shape.rank());
    return g.reshape(x, g.concat({front_shape, rest}, 0));
  }

  Outputs step_by_step(Trace& trace, const Arguments& inputs, const PartialShape& shape) {
    GraphBuilder& g = trace.build();
    const int64_t steps = shape[1];
    if (steps < 0 || steps > kMostCopies) {
      g.fail(unimplemented("training ", layer_->who(), " over ",
                           steps < 0 ? "an unknown number of" : cat(steps),
                           " steps is not implemented: it has a state, and so needs a known "
                           "number, at most ",
                           kMostCopies));
      return {};
    }
    const auto split = [&](Endpoint x) {
      return x ? g.ops("Unpack", {x}, {{"num", steps}, {"axis", int64_t{1}}})
               : std::vector<Endpoint>(static_cast<size_t>(steps));
    };
    const std::vector<Endpoint> x = split(inputs[0]), masks = split(inputs.mask(0));
    if (!g.status().ok()) return {};
    std::vector<Endpoint> made;
    for (size_t i = 0; i < x.size(); ++i) {
      const Outputs out = apply_layer(trace, x[i], masks[i]);
      if (!g.status().ok()) return {};
      made.push_back(out[0].tensor);
    }
    return g.op("Pack", std::move(made), {{"N", steps}, {"axis", int64_t{1}}});
  }

  // Keras hands the mask to layers whose call() takes one, those with such a parameter.
  Outputs apply_layer(Trace& trace, Endpoint x, Endpoint mask) {
    const auto names = layer_->parameters();
    const bool takes = std::find(names.begin(), names.end(), "mask") != names.end();
    Arguments arguments;
    arguments.add(names[0], {Value(x, takes ? mask : Endpoint())});
    return layer_->apply(trace, std::move(arguments));
  }

  std::shared_ptr<Layer> layer_;
};

}  // namespace

LayerRef TimeDistributed(const LayerRef& layer, std::string_view name) {
  auto made = std::make_shared<TimeDistributedLayer>(layer.ptr());
  made->set_name(name);
  return LayerRef(std::move(made));
}
std::shared_ptr<Layer> layers::make_time_distributed() {
  return std::make_shared<TimeDistributedLayer>();
}

}  // namespace tenon::keras
