#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Normalises the positions and channels of each group of channels.
class GroupNormalizationLayer final : public Layer {
 public:
  explicit GroupNormalizationLayer(GroupNormalizationOptions o) : o_(std::move(o)) {
    set_name(o_.name);
  }
  std::string_view class_name() const override { return "GroupNormalization"; }
  bool supports_masking() const override { return true; }
  bool casts_inputs() const override { return false; }
  void fields(ConfigFields& f) override {
    f.field("groups", o_.groups);
    f.only("axis", -1);
    f.field("epsilon", o_.epsilon);
    f.field("center", o_.center);
    f.field("scale", o_.scale);
    f.field("beta_initializer", beta_initializer_);
    f.field("gamma_initializer", gamma_initializer_);
    rule_fields(f,
                {"beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint"});
  }
  Status build(const Shapes& inputs) override {
    const PartialShape& input = inputs[0];
    TENON_ASSIGN_OR_RETURN(width_, layers::known_dim(input, -1, -1));
    // -1: a group for each channel.
    groups_ = o_.groups == -1 ? width_ : o_.groups;
    if (groups_ <= 0 || width_ % groups_ != 0) {
      return invalid_argument("groups ", o_.groups, " must divide the ", width_, " channels");
    }
    whole_ = grouped_ = {-1};
    for (int axis = 1; axis + 1 < input.rank(); ++axis) {
      TENON_ASSIGN_OR_RETURN(const int64_t size, layers::known_dim(input, -1, axis));
      whole_.push_back(size);
      grouped_.push_back(size);
    }
    whole_.push_back(width_);
    grouped_.push_back(groups_);
    grouped_.push_back(width_ / groups_);
    if (o_.scale) gamma_ = add_weight("gamma", {width_}, gamma_initializer_);
    if (o_.center) beta_ = add_weight("beta", {width_}, beta_initializer_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const DType dtype = layers::at_least_float(g.dtype(inputs[0]));
    const Endpoint x = g.reshape(g.cast(inputs[0], dtype), grouped_);
    // All axes but rows and groups.
    std::vector<int64_t> axes;
    const auto rank = static_cast<int64_t>(grouped_.size());
    for (int64_t axis = 1; axis < rank; ++axis) {
      if (axis != rank - 2) axes.push_back(axis);
    }
    const Endpoint mean = g.mean(x, axes, true);
    const Endpoint variance =
        g.mean(g.op("SquaredDifference", {x, g.op("StopGradient", {mean})}), axes, true);
    const Endpoint inverse = g.op("Rsqrt", {g.add(variance, g.scalar_of(dtype, o_.epsilon))});
    Endpoint y = g.reshape(g.mul(g.sub(x, mean), inverse), whole_);
    if (o_.scale) y = g.mul(y, g.cast(trace.read_stored(weight(gamma_)), dtype));
    if (o_.center) y = g.add(y, g.cast(trace.read_stored(weight(beta_)), dtype));
    return g.cast(y, policy().compute);
  }

 private:
  GroupNormalizationOptions o_;
  Initializer beta_initializer_ = "zeros", gamma_initializer_ = "ones";
  int64_t width_ = 0, groups_ = 0;
  std::vector<int64_t> whole_, grouped_;  // shapes, rows open
  size_t gamma_ = 0, beta_ = 0;
};

}  // namespace

LayerRef GroupNormalization(GroupNormalizationOptions options) {
  return std::make_shared<GroupNormalizationLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_group_normalization() {
  return std::make_shared<GroupNormalizationLayer>(GroupNormalizationOptions{});
}

}  // namespace tenon::keras
