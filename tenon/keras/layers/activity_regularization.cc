#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// What it is given, with a penalty for its size.
class ActivityRegularizationLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "ActivityRegularization"; }
  bool supports_masking() const override { return true; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("l1", l1_);
    f.field("l2", l2_);
  }
  Status build(const Shapes&) override { return L1L2(l1_, l2_).check(); }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    trace.add_activity_loss(L1L2(l1_, l2_), inputs[0]);
    return inputs[0];
  }

 private:
  double l1_ = 0, l2_ = 0;
};

}  // namespace

std::shared_ptr<Layer> layers::make_activity_regularization() {
  return std::make_shared<ActivityRegularizationLayer>();
}

}  // namespace tenon::keras
