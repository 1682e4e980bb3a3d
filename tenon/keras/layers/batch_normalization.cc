#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

bool is_narrow(DType dtype) { return dtype == DType::kHalf || dtype == DType::kBfloat16; }

class BatchNormalizationLayer final : public Layer {
 public:
  explicit BatchNormalizationLayer(BatchNormalizationOptions o) : o_(std::move(o)) {
    set_name(o_.name);
  }
  std::string_view class_name() const override { return "BatchNormalization"; }
  bool supports_masking() const override { return true; }
  Json call_kwargs() const override { return Json::object({{"mask", nullptr}}); }
  void fields(ConfigFields& f) override {
    f.field("axis", o_.axis);
    f.field("momentum", o_.momentum);
    f.field("epsilon", o_.epsilon);
    f.field("center", o_.center);
    f.field("scale", o_.scale);
    f.field("beta_initializer", beta_initializer_);
    f.field("gamma_initializer", gamma_initializer_);
    f.field("moving_mean_initializer", mean_initializer_);
    f.field("moving_variance_initializer", variance_initializer_);
    rule_fields(f,
                {"beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint"});
    f.field("synchronized", o_.synchronized);
    f.only("renorm", false);
    f.only("renorm_clipping", nullptr);
    f.only("renorm_momentum", 0.99);
  }
  Status build(const Shapes& inputs) override {
    TENON_ASSIGN_OR_RETURN(axis_, resolve_axis(o_.axis, inputs[0].rank()));
    TENON_ASSIGN_OR_RETURN(const int64_t width, layers::known_dim(inputs[0], -1, axis_));
    if (o_.scale) gamma_ = add_weight("gamma", {width}, gamma_initializer_);
    if (o_.center) beta_ = add_weight("beta", {width}, beta_initializer_);
    mean_ = add_weight("moving_mean", {width}, mean_initializer_, WeightKind::kNonTrainable);
    variance_ =
        add_weight("moving_variance", {width}, variance_initializer_, WeightKind::kNonTrainable);
    return absl::OkStatus();
  }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"inputs", "mask"};
    return kParameters;
  }
  // In float32, as Keras computes it, whatever the policy.
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const int rank = g.shape(inputs[0]).rank();
    const Endpoint mask = inputs.mask(0);
    if (mask && g.shape(mask).rank() != rank - 1) {
      g.fail(invalid_argument("the mask has shape ", g.shape(mask), ", the input ",
                              g.shape(inputs[0]), ", expected one dimension more"));
      return {};
    }
    // A frozen layer does not follow the batch.
    const bool training = trace.training() && trainable();
    const bool plain = rank == 4 && axis_ == 3 && !((mask || o_.synchronized) && training);
    // The fused op computes in float32 by itself, so that training moves half the bytes.
    const bool narrow = plain && training && is_narrow(g.dtype(inputs[0]));
    const Endpoint x = narrow ? inputs[0] : g.cast(inputs[0], DType::kFloat);
    const Endpoint y = plain ? fused(trace, x, training) : composed(trace, x, mask, rank, training);
    return g.cast(y, g.dtype(inputs[0]));
  }

 private:
  Endpoint stored(Trace& trace, size_t index) {
    return trace.build().cast(trace.read_stored(weight(index)), DType::kFloat);
  }

  // Images: TensorFlow's fused op.
  Endpoint fused(Trace& trace, Endpoint x, bool training) {
    GraphBuilder& g = trace.build();
    const int64_t width = weight(mean_).shape[0];
    const auto filled = [&](int64_t count, float value) {
      return g.constant(
          Tensor::vector<float>(std::vector<float>(static_cast<size_t>(count), value)));
    };
    const Endpoint gamma = o_.scale ? stored(trace, gamma_) : filled(width, 1);
    const Endpoint beta = o_.center ? stored(trace, beta_) : filled(width, 0);
    const Endpoint mean = training ? filled(0, 0) : stored(trace, mean_);
    const Endpoint variance = training ? filled(0, 0) : stored(trace, variance_);
    const std::vector<Endpoint> out =
        g.ops("FusedBatchNormV3", {x, gamma, beta, mean, variance},
              {{"epsilon", static_cast<float>(o_.epsilon)}, {"is_training", training}});
    if (out.empty()) return {};
    if (training) {
      // The op reports the variance times n / max(n - 1, 1); Keras averages the plain one.
      const Endpoint elements = g.op("Size", {x}, {{"out_type", DType::kInt32}});
      const Endpoint n = g.div(g.cast(elements, DType::kFloat),
                               g.scalar_of(DType::kFloat, static_cast<double>(width)));
      const Endpoint one = g.scalar<float>(1);
      const Endpoint less = g.op("Maximum", {g.sub(n, one), one});
      update(trace, out[1], g.mul(out[2], g.div(less, n)));
    }
    return out[0];
  }

  // tf.nn.moments and tf.nn.batch_normalization, for any rank and axis.
  Endpoint composed(Trace& trace, Endpoint x, Endpoint mask, int rank, bool training) {
    GraphBuilder& g = trace.build();
    Endpoint mean, variance;
    std::vector<int64_t> axes;
    for (int axis = 0; axis < rank; ++axis) {
      if (axis != axis_) axes.push_back(axis);
    }
    if (training && o_.synchronized && !mask) {
      std::tie(mean, variance) = synchronized_moments(trace, x, axes);
      update(trace, mean, variance);
    } else if (training) {
      const Endpoint kept = mask ? masked_mean(g, x, x, mask, axes) : g.mean(x, axes, true);
      const Endpoint difference = g.op("SquaredDifference", {x, g.op("StopGradient", {kept})});
      mean = g.op("Reshape", {kept, g.integers({-1})});
      variance = mask ? g.reshape(masked_mean(g, difference, x, mask, axes), g.integers({-1}))
                      : g.mean(difference, axes);
      update(trace, mean, variance);
    } else {
      mean = stored(trace, mean_);
      variance = stored(trace, variance_);
    }
    std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
    shape[static_cast<size_t>(axis_)] = weight(mean_).shape[0];
    const auto spread = [&](Endpoint v) {
      return axis_ == rank - 1 ? v : g.reshape(v, g.integers(shape));
    };
    const Endpoint epsilon = g.scalar_of(DType::kFloat, o_.epsilon);
    Endpoint inverse = g.op("Rsqrt", {g.add(spread(variance), epsilon)});
    if (o_.scale) inverse = g.mul(inverse, spread(stored(trace, gamma_)));
    Endpoint shift = g.mul(spread(mean), inverse);
    shift = o_.center ? g.sub(spread(stored(trace, beta_)), shift) : g.neg(shift);
    return g.add(g.mul(x, inverse), shift);
  }

  // Keras' _compute_moments_sync: mean and variance from the sums of all replicas.
  static std::pair<Endpoint, Endpoint> synchronized_moments(Trace& trace, Endpoint x,
                                                            const std::vector<int64_t>& axes) {
    GraphBuilder& g = trace.build();
    const std::vector<Endpoint> sums = trace.all_reduce(
        {g.sum(x, axes), g.sum(g.op("Square", {x}), axes), g.sum(g.op("OnesLike", {x}), axes)},
        false);
    const Endpoint mean = g.op("DivNoNan", {sums[0], sums[2]});
    const Endpoint square = g.op("DivNoNan", {sums[1], sums[2]});
    const Endpoint variance =
        g.op("Maximum", {g.sub(square, g.op("Square", {mean})), g.scalar<float>(0)});
    return {mean, variance};
  }

  // The mean of what the mask keeps of `values`, which are of x's shape.
  static Endpoint masked_mean(GraphBuilder& g, Endpoint values, Endpoint x, Endpoint mask,
                              const std::vector<int64_t>& axes) {
    const Endpoint column = g.op("ExpandDims", {mask, g.scalar<int32_t>(-1)});
    const Endpoint spread = g.op("BroadcastTo", {column, g.shape_of(x)});
    const Endpoint kept = g.op("SelectV2", {spread, values, g.zeros_like(values)});
    const Endpoint count = g.sum(g.cast(spread, DType::kFloat), axes, true);
    return g.div(g.sum(kept, axes, true), g.add(count, g.scalar_of(DType::kFloat, 1e-7)));
  }

  // moving = moving * momentum + batch * (1 - momentum)
  void update(Trace& trace, Endpoint mean, Endpoint variance) {
    GraphBuilder& g = trace.build();
    for (const auto& [index, batch] : {std::pair(mean_, mean), std::pair(variance_, variance)}) {
      const Endpoint kept = g.mul(stored(trace, index), g.scalar_of(DType::kFloat, o_.momentum));
      const Endpoint fresh = g.mul(batch, g.scalar_of(DType::kFloat, 1 - o_.momentum));
      trace.assign(weight(index), g.cast(g.add(kept, fresh), weight(index).dtype));
    }
  }

  BatchNormalizationOptions o_;
  Initializer beta_initializer_ = "zeros", gamma_initializer_ = "ones";
  Initializer mean_initializer_ = "zeros", variance_initializer_ = "ones";
  int axis_ = -1;
  size_t gamma_ = 0, beta_ = 0, mean_ = 0, variance_ = 0;  // indices of the weights
};

}  // namespace

LayerRef BatchNormalization(BatchNormalizationOptions options) {
  return std::make_shared<BatchNormalizationLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_batch_normalization() {
  return std::make_shared<BatchNormalizationLayer>(BatchNormalizationOptions{});
}

}  // namespace tenon::keras
