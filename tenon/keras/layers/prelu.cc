#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// A slope that is learnt for each position; `shared_axes` share theirs.
class PReLULayer final : public Layer {
 public:
  std::string_view class_name() const override { return "PReLU"; }
  bool supports_masking() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("alpha_initializer", alpha_initializer_);
    rule_fields(f, {"alpha_regularizer", "alpha_constraint"});
    Json axes = shared_axes_.empty() ? Json() : Json::array(shared_axes_);
    f.field("shared_axes", axes);
    shared_axes_.clear();
    axes_are_numbers_ = axes.is_null() || axes.items();
    for (const Json& axis : axes.items() ? *axes.items() : Json::Array()) {
      axes_are_numbers_ &= axis.integer() != nullptr;
      if (axis.integer()) shared_axes_.push_back(*axis.integer());
    }
  }
  Status build(const Shapes& inputs) override {
    if (!axes_are_numbers_) return invalid_argument("shared_axes is no list of integers");
    Shape shape;
    for (int axis = 1; axis < inputs[0].rank(); ++axis) {
      const bool shared =
          std::find(shared_axes_.begin(), shared_axes_.end(), axis) != shared_axes_.end();
      int64_t size = 1;
      if (!shared) {
        TENON_ASSIGN_OR_RETURN(size, layers::known_dim(inputs[0], -1, axis));
      }
      shape.append(size);
    }
    for (int64_t axis : shared_axes_) {
      if (axis < 1 || axis >= inputs[0].rank()) {
        return invalid_argument("shared_axes has ", axis, ", expected 1 to ", inputs[0].rank() - 1);
      }
    }
    add_weight("alpha", std::move(shape), alpha_initializer_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint negative = g.op("Relu", {g.neg(inputs[0])});
    return g.sub(g.op("Relu", {inputs[0]}), g.mul(trace.read(weight(0)), negative));
  }

 private:
  Initializer alpha_initializer_ = "zeros";
  std::vector<int64_t> shared_axes_;
  bool axes_are_numbers_ = true;
};

}  // namespace

std::shared_ptr<Layer> layers::make_prelu() { return std::make_shared<PReLULayer>(); }

}  // namespace tenon::keras
