#include "tenon/keras/layers/attention.h"

namespace tenon::keras {

namespace {

// Attention and AdditiveAttention: scores of queries and keys, a softmax over the keys, a mean of
// the values by it.
class SimpleAttentionLayer final : public Layer {
 public:
  explicit SimpleAttentionLayer(bool additive) : additive_(additive), use_scale_(additive) {}
  std::string_view class_name() const override {
    return additive_ ? "AdditiveAttention" : "Attention";
  }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"inputs", "mask", "return_attention_scores",
                                                       "use_causal_mask"};
    return kParameters;
  }
  bool takes_list() const override { return true; }
  bool supports_masking() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("use_scale", use_scale_);
    if (!additive_) f.field("score_mode", score_mode_);
    f.field("dropout", dropout_);
    f.field("seed", seed_);
  }
  Status build(const Shapes& inputs) override {
    if (inputs.size() != 2 && inputs.size() != 3) {
      return invalid_argument("the layer is called on a list of query, value and perhaps key, not ",
                              inputs.size(), " tensors");
    }
    if (!(dropout_ >= 0 && dropout_ < 1)) {
      return invalid_argument("dropout is ", dropout_, ", expected a number from 0 to below 1");
    }
    if (score_mode_ != "dot" && score_mode_ != "concat") {
      return invalid_argument("score_mode is '", score_mode_, "', expected 'dot' or 'concat'");
    }
    for (const PartialShape& shape : inputs.first()) {
      if (shape.rank() != 3) {
        return invalid_argument("an input has shape ", shape, ", expected 3 dimensions");
      }
    }
    if (additive_ && use_scale_) {
      TENON_ASSIGN_OR_RETURN(const int64_t width, layers::known_dim(inputs[0], 3, -1));
      add_weight("scale", {width}, "glorot_uniform");
    } else if (use_scale_) {
      add_weight("scale", {}, "ones");
    }
    if (!additive_ && score_mode_ == "concat") add_weight("concat_score_weight", {}, "ones");
    seed_index_ = layers::add_dropout_seed(*this, dropout_, seed_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint query = inputs[0], value = inputs[1];
    const Endpoint key = inputs.size() > 2 ? inputs[2] : value;
    Endpoint scores = score(trace, query, key);
    Endpoint mask = inputs.mask(1);
    if (mask) mask = g.op("ExpandDims", {mask, g.scalar<int32_t>(-2)});
    if (inputs.flag("use_causal_mask")) {
      mask = layers::both(g, mask, layers::causal_mask(g, query, value));
    }
    if (mask) {
      const Endpoint far = g.sub(scores, g.scalar_of(g.dtype(scores), 1e9));
      scores = g.op("SelectV2", {mask, scores, far});
    }
    const Endpoint weights = g.op("Softmax", {scores});
    Endpoint kept = weights;
    if (trace.training() && dropout_ > 0) {
      kept = layers::dropout(trace, weights, dropout_, weight(seed_index_));
    }
    Endpoint y = g.op("BatchMatMulV2", {kept, value});
    if (const Endpoint rows = inputs.mask(0)) {
      y = g.op("SelectV2",
               {g.op("ExpandDims", {rows, g.scalar<int32_t>(-1)}), y, g.scalar_of(g.dtype(y), 0)});
    }
    Outputs outputs(y);
    if (inputs.flag("return_attention_scores")) outputs.emplace_back(weights);
    return outputs;
  }
  void output_masks(Trace&, const Arguments& inputs, Outputs& outputs) const override {
    outputs[0].mask = inputs.mask(0);
  }

 private:
  Endpoint score(Trace& trace, Endpoint query, Endpoint key) {
    GraphBuilder& g = trace.build();
    const Endpoint scale = use_scale_ ? trace.read(weight(0)) : Endpoint();
    if (!additive_ && score_mode_ == "dot") {
      const Endpoint product = g.op("BatchMatMulV2", {query, key}, {{"adj_y", true}});
      return scale ? g.mul(product, scale) : product;
    }
    Endpoint sum = g.add(g.op("ExpandDims", {query, g.scalar<int32_t>(-2)}),
                         g.op("ExpandDims", {key, g.scalar<int32_t>(-3)}));
    const int64_t last[] = {3};
    if (additive_) {
      const Endpoint bent = g.op("Tanh", {sum});
      return g.sum(scale ? g.mul(scale, bent) : bent, last);
    }
    if (scale) sum = g.mul(scale, sum);
    return g.mul(trace.read(weight(use_scale_ ? 1 : 0)), g.sum(g.op("Tanh", {sum}), last));
  }

  bool additive_, use_scale_;
  std::string score_mode_ = "dot";
  double dropout_ = 0;
  std::optional<int64_t> seed_;
  size_t seed_index_ = 0;
};

// The index of each step of dimension 1 of `x`, int32.
Endpoint step_numbers(GraphBuilder& g, Endpoint x) {
  const Endpoint steps = g.dim(x, 1);
  return g.op("Range", {g.scalar<int32_t>(0), steps, g.scalar<int32_t>(1)});
}

}  // namespace

namespace layers {

Endpoint both(GraphBuilder& g, Endpoint a, Endpoint b) {
  if (!a || !b) return a ? a : b;
  return g.op("LogicalAnd", {a, b});
}

Endpoint causal_mask(GraphBuilder& g, Endpoint query, Endpoint value) {
  const Endpoint rows = g.op("ExpandDims", {step_numbers(g, query), g.scalar<int32_t>(-1)});
  const Endpoint mask = g.op("GreaterEqual", {rows, step_numbers(g, value)});
  return g.op("ExpandDims", {mask, g.scalar<int32_t>(0)});
}

Endpoint window_mask(GraphBuilder& g, Endpoint query, Endpoint value, int64_t width) {
  const Endpoint rows = g.op("ExpandDims", {step_numbers(g, query), g.scalar<int32_t>(-1)});
  const Endpoint distance = g.op("Abs", {g.sub(rows, step_numbers(g, value))});
  const auto limit = static_cast<int32_t>(std::min<int64_t>(width, INT32_MAX));
  return g.op("ExpandDims", {g.op("Less", {distance, g.scalar(limit)}), g.scalar<int32_t>(0)});
}

std::shared_ptr<Layer> make_attention() { return std::make_shared<SimpleAttentionLayer>(false); }
std::shared_ptr<Layer> make_additive_attention() {
  return std::make_shared<SimpleAttentionLayer>(true);
}

}  // namespace layers

}  // namespace tenon::keras
