#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

// The sizes of a matrix's gradients are kept as means of its rows and of its columns.
class AdafactorOptimizer final : public Optimizer {
 public:
  explicit AdafactorOptimizer(AdafactorOptions o)
      : Optimizer(std::move(o.learning_rate), o.gradient),
        beta_2_decay_(o.beta_2_decay),
        epsilon_1_(o.epsilon_1),
        epsilon_2_(o.epsilon_2),
        clip_threshold_(o.clip_threshold) {}
  std::string_view class_name() const override { return "Adafactor"; }
  void own_fields(ConfigFields& f) override {
    f.field("beta_2_decay", beta_2_decay_);
    f.field("epsilon_1", epsilon_1_);
    f.field("epsilon_2", epsilon_2_);
    f.field("clip_threshold", clip_threshold_);
    f.field("relative_step", relative_step_);
  }
  std::vector<std::vector<std::string>> slots() const override { return {{"r", "c", "velocity"}}; }

 protected:
  // What is no matrix has no rows and columns: Keras stores an int32 in place of each.
  std::optional<SlotForm> slot_form(const Weight& weight, std::string_view name) const override {
    const int rank = weight.shape.rank();
    if (name == "velocity") return SlotForm{weight.shape, weight.dtype};
    if (rank < 2) return SlotForm{Shape(), DType::kInt32};
    const int left_out = name == "r" ? rank - 1 : rank - 2;
    Shape shape;
    for (int axis = 0; axis < rank; ++axis) {
      if (axis != left_out) shape.append(weight.shape[axis]);
    }
    return SlotForm{std::move(shape), weight.dtype};
  }
  void update(const Step& step, size_t index, const Applied& applied) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight& w = weight(index);
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    const auto root_of_mean = [&](Endpoint squares) {
      std::vector<int64_t> axes;
      for (int axis = 0; axis < w.shape.rank(); ++axis) axes.push_back(axis);
      return g.op("Sqrt", {g.mean(squares, axes)});
    };
    const Endpoint count = g.cast(step.count, w.dtype), one = number(1);
    // relative_step is no more than this, with which it makes no difference.
    const Endpoint rho =
        g.op("Minimum", {g.cast(step.rate, w.dtype), g.div(one, g.op("Sqrt", {count}))});
    const Endpoint size =
        g.op("Maximum", {number(epsilon_2_), root_of_mean(g.op("Square", {trace.read(w)}))});
    const Endpoint square = applied.size ? applied.size : g.op("Square", {applied.gradient});
    const Endpoint beta = g.sub(one, g.op("Pow", {count, number(beta_2_decay_)}));
    const Endpoint velocity = mix(step, index, g.add(square, number(epsilon_1_)), beta);
    const Endpoint change = g.div(applied.gradient, g.op("Sqrt", {velocity}));
    // Keras squares the change of a row once for each time that a batch looks it up.
    const Endpoint squares = applied.size ? g.div(square, velocity) : g.op("Square", {change});
    const Endpoint too_large = g.div(root_of_mean(squares), number(clip_threshold_));
    const Endpoint clipped = g.div(change, g.op("Maximum", {one, too_large}));
    trace.assign_sub(w, g.mul(g.mul(size, rho), clipped));
  }

 private:
  // The velocity, with `squares` taken in.
  Endpoint mix(const Step& step, size_t index, Endpoint squares, Endpoint beta) const {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight &w = weight(index), &velocity = slot(index, "velocity");
    const Endpoint rest = g.sub(g.scalar_of(w.dtype, 1), beta);
    const auto take_in = [&](const Weight& kept, Endpoint value) {
      trace.assign(kept, g.add(g.mul(beta, trace.read(kept)), g.mul(rest, value)));
      return trace.read(kept);
    };
    const int rank = w.shape.rank();
    if (rank < 2) return take_in(velocity, squares);
    const int64_t last[] = {rank - 1}, before_last[] = {rank - 2};
    const Endpoint rows = take_in(slot(index, "r"), g.mean(squares, last));
    const Endpoint columns = take_in(slot(index, "c"), g.mean(squares, before_last));
    const Endpoint share = g.div(rows, g.mean(rows, before_last, true));
    trace.assign(velocity, g.mul(g.op("ExpandDims", {share, g.scalar<int32_t>(-1)}),
                                 g.op("ExpandDims", {columns, g.scalar<int32_t>(-2)})));
    return trace.read(velocity);
  }

  double beta_2_decay_, epsilon_1_, epsilon_2_, clip_threshold_;
  bool relative_step_ = true;
};

}  // namespace

OptimizerPtr Adafactor(AdafactorOptions options) {
  return std::make_shared<AdafactorOptimizer>(std::move(options));
}

}  // namespace tenon::keras
