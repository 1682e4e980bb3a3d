#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

class FtrlOptimizer final : public Optimizer {
 public:
  explicit FtrlOptimizer(FtrlOptions o)
      : Optimizer(o.learning_rate, o.gradient), o_(std::move(o)) {}
  std::string_view class_name() const override { return "Ftrl"; }
  void own_fields(ConfigFields& f) override {
    f.field("learning_rate_power", o_.learning_rate_power);
    f.field("initial_accumulator_value", o_.initial_accumulator_value);
    f.field("l1_regularization_strength", o_.l1_regularization_strength);
    f.field("l2_regularization_strength", o_.l2_regularization_strength);
    f.field("l2_shrinkage_regularization_strength", o_.l2_shrinkage_regularization_strength);
    f.field("beta", o_.beta);
  }
  std::vector<std::vector<std::string>> slots() const override {
    return {{"accumulator", "linear"}};
  }

 protected:
  Initializer slot_initializer(std::string_view name) const override {
    if (name == "linear") return "zeros";
    return Initializer("Constant").with("value", o_.initial_accumulator_value);
  }
  void begin(const Step& step) override {
    GraphBuilder& g = step.trace.build();
    const double strengths[] = {o_.initial_accumulator_value, o_.l1_regularization_strength,
                                o_.l2_regularization_strength,
                                o_.l2_shrinkage_regularization_strength};
    for (const double strength : strengths) {
      if (!(strength >= 0)) {
        g.fail(
            invalid_argument("optimizer Ftrl: strengths and initial_accumulator_value must be "
                             "0 or more, not ",
                             strength));
      }
    }
    if (!(o_.learning_rate_power <= 0)) {
      g.fail(invalid_argument("optimizer Ftrl: learning_rate_power must be 0 or less, not ",
                              o_.learning_rate_power));
    }
  }
  void update(const Step& step, size_t index, const Applied& applied) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight &w = weight(index), &accumulator = slot(index, "accumulator"),
                 &linear = slot(index, "linear");
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    const Endpoint rate = g.cast(step.rate, w.dtype), value = trace.read(w);
    const Endpoint before = trace.read(accumulator);
    const Endpoint shrinkage = number(2 * o_.l2_shrinkage_regularization_strength);
    const Endpoint gradient = g.add(applied.gradient, g.mul(shrinkage, value));
    const Endpoint square = applied.size ? applied.size : g.op("Square", {applied.gradient});
    const Endpoint sum = g.add(before, square);
    const auto power = [&](Endpoint x) {
      return g.op("Pow", {x, number(-o_.learning_rate_power)});
    };
    const Endpoint moved = g.div(g.sub(power(sum), power(before)), rate);
    trace.assign_add(linear, g.sub(gradient, g.mul(moved, value)));
    const Endpoint l2 = g.add(number(o_.l2_regularization_strength),
                              g.div(number(o_.beta), g.mul(number(2), rate)));
    const Endpoint quadratic = g.add(g.div(power(sum), rate), g.mul(number(2), l2));
    const Endpoint z = trace.read(linear), l1 = number(o_.l1_regularization_strength);
    const Endpoint clipped = g.op("Maximum", {g.op("Minimum", {z, l1}), g.neg(l1)});
    trace.assign(w, g.div(g.sub(clipped, z), quadratic));
    trace.assign(accumulator, sum);
  }

 private:
  FtrlOptions o_;
};

}  // namespace

OptimizerPtr Ftrl(FtrlOptions options) {
  return std::make_shared<FtrlOptimizer>(std::move(options));
}

}  // namespace tenon::keras
