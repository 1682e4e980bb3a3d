#include <cmath>
#include <limits>

#include "tenon/keras/layers/attention.h"

namespace tenon::keras {

namespace {

// What the two layers tell apart: heads of keys and values, and where files keep the children.
struct HeadOptions {
  MultiHeadAttentionOptions o;
  bool grouped = false;
  int64_t value_heads = 0;  // of GroupQueryAttention
  std::optional<int64_t> output_width = {};
};

// MultiHeadAttention and GroupQueryAttention, in which several heads of queries share one of keys
// and values.
class HeadsLayer final : public Layer {
 public:
  explicit HeadsLayer(HeadOptions h) : h_(std::move(h)) { set_name(h_.o.name); }
  std::string_view class_name() const override {
    return h_.grouped ? "GroupQueryAttention" : "MultiHeadAttention";
  }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"query",
                                                       "value",
                                                       "key",
                                                       "query_mask",
                                                       "value_mask",
                                                       "key_mask",
                                                       "attention_mask",
                                                       "return_attention_scores",
                                                       "use_causal_mask"};
    return kParameters;
  }
  bool supports_masking() const override { return true; }
  bool takes_masks_away() const override { return !h_.grouped; }
  // Keras hands the regularizer to the projections.
  bool judges_own_outputs() const override { return false; }
  void fields(ConfigFields& f) override {
    if (h_.grouped) {
      f.field("head_dim", h_.o.key_dim);
      f.field("num_query_heads", h_.o.num_heads);
      f.field("num_key_value_heads", h_.value_heads);
    } else {
      f.field("num_heads", h_.o.num_heads);
      f.field("key_dim", h_.o.key_dim);
      if (!h_.o.value_dim) h_.o.value_dim = h_.o.key_dim;
      f.field("value_dim", h_.o.value_dim);
      Json width = h_.output_width ? Json(Json::Array{*h_.output_width}) : Json();
      f.field("output_shape", width);
      if (width.items() && width.items()->size() == 1) width = Json((*width.items())[0]);
      h_.output_width = width.integer() ? std::optional(*width.integer()) : std::nullopt;
      output_is_known_ = width.is_null() || width.integer();
      Json axes = built() ? Json(Json::Array{1}) : Json();
      f.field("attention_axes", axes);
      axes_are_known_ = axes.is_null() || axes == Json(Json::Array{1}) || axes == Json(1);
    }
    f.field("dropout", h_.o.dropout);
    f.field("use_bias", h_.o.use_bias);
    f.field("use_gate", h_.o.use_gate);
    f.field("sliding_window", h_.o.sliding_window);
    f.field("kernel_initializer", h_.o.kernel_initializer);
    f.field("bias_initializer", h_.o.bias_initializer);
    rule_fields(f, {"kernel_regularizer", "bias_regularizer", "activity_regularizer",
                    "kernel_constraint", "bias_constraint"});
    f.field("seed", h_.o.seed);
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(check_options());
    const std::span<const PartialShape> value = inputs.of("value"), key = inputs.of("key");
    if (value.empty()) return invalid_argument("the layer is called without 'value'");
    for (const PartialShape& shape : {inputs[0], value[0], key.empty() ? value[0] : key[0]}) {
      if (shape.rank() != 3) {
        return unimplemented("an input has shape ", shape,
                             ", only rows, steps and features are implemented");
      }
    }
    TENON_ASSIGN_OR_RETURN(const int64_t width, layers::known_dim(inputs[0], 3, -1));
    const int64_t value_dim = h_.grouped ? h_.o.key_dim : h_.o.value_dim.value_or(h_.o.key_dim);
    const int64_t few = h_.grouped ? h_.value_heads : h_.o.num_heads;
    const PartialShape& key_shape = key.empty() ? value[0] : key[0];
    TENON_RETURN_IF_ERROR(project(query_, "query", inputs[0], h_.o.num_heads, h_.o.key_dim));
    TENON_RETURN_IF_ERROR(project(key_, "key", key_shape, few, h_.o.key_dim));
    if (h_.o.use_gate) {
      TENON_RETURN_IF_ERROR(project(gate_, "gate", inputs[0], h_.o.num_heads, value_dim));
    }
    TENON_RETURN_IF_ERROR(project(value_, "value", value[0], few, value_dim));
    output_ = EinsumDense({.equation = "abcd,cde->abe",
                           .output_shape = {-1, h_.output_width.value_or(width)},
                           .bias_axes = h_.o.use_bias ? "e" : "",
                           .kernel_initializer = h_.o.kernel_initializer,
                           .bias_initializer = h_.o.bias_initializer,
                           .name = "attention_output"})
                  .ptr();
    TENON_RETURN_IF_ERROR(build_child(output_, "output", {-1, -1, h_.o.num_heads, value_dim}));
    seed_ = layers::add_dropout_seed(*this, h_.o.dropout, h_.o.seed);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Value query = inputs.one("query"), value = inputs.one("value");
    if (!value.tensor) {
      g.fail(invalid_argument("the layer is called without 'value'"));
      return {};
    }
    const bool own_key = static_cast<bool>(inputs.one("key").tensor);
    const Value key = own_key ? inputs.one("key") : value;
    const bool returns_scores = inputs.flag("return_attention_scores");
    const Endpoint mask = attention_mask(g, inputs, query, value, own_key ? key.mask : Endpoint());
    const auto heads = [&](const std::shared_ptr<Layer>& child, Endpoint x) {
      return by_heads(g, apply_child(trace, child, x));
    };
    const Endpoint q = heads(query_, query.tensor);
    const Endpoint k = shared(g, heads(key_, key.tensor), h_.o.key_dim);
    const Endpoint v =
        shared(g, heads(value_, value.tensor), h_.grouped ? h_.o.key_dim : *h_.o.value_dim);
    // Keras computes what it returns or drops, and what is masked everywhere, in another way.
    const bool plain = h_.o.dropout == 0 && !returns_scores;
    const Endpoint scale =
        g.scalar_of(g.dtype(q), 1 / std::sqrt(static_cast<double>(h_.o.key_dim)));
    Endpoint scores = plain ? g.mul(g.op("BatchMatMulV2", {q, k}, {{"adj_y", true}}), scale)
                            : g.op("BatchMatMulV2", {g.mul(q, scale), k}, {{"adj_y", true}});
    const double far = plain ? -0.7 * static_cast<double>(std::numeric_limits<float>::max()) : -1e9;
    if (mask) {
      const double limit = g.dtype(q) == DType::kHalf ? -3e4 : far;
      scores = g.op("SelectV2", {mask, scores, g.scalar_of(g.dtype(q), limit)});
    }
    scores = g.op("Softmax", {scores});
    if (mask && !plain) {
      scores = g.op("SelectV2", {mask, scores, g.scalar_of(g.dtype(q), 0)});
    }
    Endpoint kept = scores;
    if (trace.training() && h_.o.dropout > 0) {
      kept = layers::dropout(trace, scores, h_.o.dropout, weight(seed_));
    }
    Endpoint y = by_heads(g, g.op("BatchMatMulV2", {kept, v}));
    if (h_.o.use_gate) {
      y = g.mul(y, g.op("Sigmoid", {apply_child(trace, gate_, query.tensor)}));
    }
    Outputs outputs(apply_child(trace, output_, y));
    if (returns_scores) outputs.emplace_back(scores);
    return outputs;
  }

 private:
  Status check_options() const {
    const MultiHeadAttentionOptions& o = h_.o;
    const struct {
      std::string_view name;
      int64_t value;
    } above_zero[] = {{h_.grouped ? "num_query_heads" : "num_heads", o.num_heads},
                      {h_.grouped ? "head_dim" : "key_dim", o.key_dim},
                      {"value_dim", o.value_dim.value_or(1)},
                      {"num_key_value_heads", h_.grouped ? h_.value_heads : 1},
                      {"sliding_window", o.sliding_window.value_or(1)}};
    for (const auto& [name, value] : above_zero) {
      if (value <= 0 || value > INT32_MAX) {
        return invalid_argument(name, " is ", value, ", expected a number above 0, below 2^31");
      }
    }
    if (h_.grouped && o.num_heads % h_.value_heads != 0) {
      return invalid_argument("num_key_value_heads ", h_.value_heads, " must divide ",
                              "num_query_heads ", o.num_heads);
    }
    if (!(o.dropout >= 0 && o.dropout < 1)) {
      return invalid_argument("dropout is ", o.dropout, ", expected a number from 0 to below 1");
    }
    if (!axes_are_known_ || !output_is_known_) {
      return unimplemented(
          "'attention_axes' and 'output_shape' of several dimensions are not "
          "implemented");
    }
    return absl::OkStatus();
  }

  // Keras keeps the children of the one under the names of properties, of the other of attributes.
  Status build_child(const std::shared_ptr<Layer>& child, std::string_view group,
                     const PartialShape& shape) {
    child->set_policy(policy());
    hand_rules(*child);
    const bool attribute = h_.grouped || group == "gate";
    add_child(cat(attribute ? "_" : "", group, "_dense"), child);
    return child->ensure_built(Shapes(std::vector<PartialShape>{shape}));
  }
  Status project(std::shared_ptr<Layer>& child, std::string_view name, const PartialShape& shape,
                 int64_t heads, int64_t width) {
    child = EinsumDense({.equation = "abc,cde->abde",
                         .output_shape = {-1, heads, width},
                         .bias_axes = h_.o.use_bias ? "de" : "",
                         .kernel_initializer = h_.o.kernel_initializer,
                         .bias_initializer = h_.o.bias_initializer,
                         .name = std::string(name)})
                .ptr();
    return build_child(child, name, shape);
  }
  static Endpoint apply_child(Trace& trace, const std::shared_ptr<Layer>& child, Endpoint x) {
    const Outputs out = child->apply(trace, Arguments(std::vector<Value>{Value(x)}));
    return out.empty() ? Endpoint() : out[0].tensor;
  }
  // Swaps steps and heads: [batch, steps, heads, width] and [batch, heads, steps, width].
  static Endpoint by_heads(GraphBuilder& g, Endpoint x) {
    return g.op("Transpose", {x, g.integers({0, 2, 1, 3})});
  }
  // Each head of keys or values once for each head of queries that it serves.
  Endpoint shared(GraphBuilder& g, Endpoint x, int64_t width) const {
    const int64_t times = h_.grouped ? h_.o.num_heads / h_.value_heads : 1;
    if (times == 1) return x;
    const Endpoint each = g.op("ExpandDims", {x, g.scalar<int32_t>(2)});
    const Endpoint wide = g.op("Tile", {each, g.integers({1, 1, times, 1, 1})});
    const Endpoint shape = g.shape_of(x);
    const Endpoint rows = g.slice(shape, 0, 1);
    const Endpoint steps = g.slice(shape, 2, 3);
    return g.reshape(wide,
                     g.concat({rows, g.integers({h_.o.num_heads}), steps, g.integers({width})}, 0));
  }
  // [batch, heads or 1, query steps, value steps]; invalid: none.
  Endpoint attention_mask(GraphBuilder& g, const Arguments& inputs, const Value& query,
                          const Value& value, Endpoint key_mask) const {
    const auto expand = [&](Endpoint mask, int32_t axis) {
      return mask ? g.op("ExpandDims", {mask, g.scalar(axis)}) : mask;
    };
    Endpoint mask = layers::both(g, expand(query.mask, -1), expand(value.mask, -2));
    mask = layers::both(g, mask, expand(key_mask, -2));
    if (inputs.flag("use_causal_mask")) {
      mask = layers::both(g, mask, layers::causal_mask(g, query.tensor, value.tensor));
    }
    if (h_.o.sliding_window) {
      mask = layers::both(g, mask,
                          layers::window_mask(g, query.tensor, value.tensor, *h_.o.sliding_window));
    }
    if (const Endpoint given = inputs.one("attention_mask").tensor) {
      mask = layers::both(g, g.cast(given, DType::kBool), mask);
    }
    while (mask && g.status().ok() && g.shape(mask).rank() < 4) mask = expand(mask, -3);
    return mask;
  }

  HeadOptions h_;
  std::shared_ptr<Layer> query_, key_, gate_, value_, output_;
  bool axes_are_known_ = true, output_is_known_ = true;
  size_t seed_ = 0;
};

}  // namespace

LayerRef MultiHeadAttention(MultiHeadAttentionOptions options) {
  return std::make_shared<HeadsLayer>(HeadOptions{.o = std::move(options)});
}
std::shared_ptr<Layer> layers::make_multi_head_attention() {
  return std::make_shared<HeadsLayer>(HeadOptions{});
}
std::shared_ptr<Layer> layers::make_group_query_attention() {
  return std::make_shared<HeadsLayer>(HeadOptions{.o = {}, .grouped = true});
}

}  // namespace tenon::keras
