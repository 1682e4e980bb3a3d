#include <cmath>

#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

class MuonOptimizer final : public Optimizer {
 public:
  explicit MuonOptimizer(MuonOptions o)
      : Optimizer(std::move(o.learning_rate), o.gradient), momentum_(o.momentum) {}
  std::string_view class_name() const override { return "Muon"; }
  void own_fields(ConfigFields& f) override {
    f.field("adam_beta_1", beta_1_);
    f.field("adam_beta_2", beta_2_);
    f.field("epsilon", epsilon_);
    f.field("exclude_layers", excluded_);
    f.field("muon_a", a_);
    f.field("muon_b", b_);
    f.field("muon_c", c_);
    f.field("adam_lr_ratio", adam_rate_ratio_);
    f.field("momentum", momentum_);
    f.field("ns_steps", newton_schulz_steps_);
    f.field("nesterov", nesterov_);
    f.field("exclude_embeddings", excludes_embeddings_);
    f.field("adam_weight_decay", adam_weight_decay_);
    f.field("rms_rate", rms_rate_);
  }
  Status check() const override {
    TENON_RETURN_IF_ERROR(Optimizer::check());
    if (newton_schulz_steps_ < 0 || newton_schulz_steps_ > kMostSteps) {
      return invalid_argument("optimizer Muon: 'ns_steps' is ", newton_schulz_steps_,
                              ", expected 0 to ", kMostSteps);
    }
    for (const Json& layer : excluded_.items() ? *excluded_.items() : Json::Array()) {
      const bool plain =
          layer.string() && layer.string()->find_first_of(".^$*+?{}[]\\|()") == std::string::npos;
      if (!plain) {
        return unimplemented("optimizer Muon: 'exclude_layers' holds ", layer.dump(),
                             "; parts of names are implemented, expressions are not");
      }
    }
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> slots() const override {
    return {{"momentum", "velocity"}};
  }

 protected:
  std::optional<SlotForm> slot_form(const Weight& weight, std::string_view name) const override {
    if (name == "velocity" && !wants_adam(weight)) return std::nullopt;
    return SlotForm{weight.shape, weight.dtype};
  }
  std::optional<double> decay_of(const Weight& weight) const override {
    return wants_adam(weight) ? adam_weight_decay_ : weight_decay();
  }
  void update(const Step& step, size_t index, const Applied& applied) override {
    return has_slot(index, "velocity") ? update_by_adam(step, index, applied)
                                       : update_by_muon(step, index, applied);
  }

 private:
  static constexpr int64_t kMostSteps = 100;

  bool wants_adam(const Weight& weight) const {
    if (weight.shape.rank() != 2) return true;
    const std::string path = to_lower(weight.path);
    if (excludes_embeddings_ && path.find("embedding") != std::string::npos) return true;
    for (const Json& layer : excluded_.items() ? *excluded_.items() : Json::Array()) {
      if (layer.string() && weight.path.find(*layer.string()) != std::string::npos) return true;
    }
    return false;
  }
  void update_by_adam(const Step& step, size_t index, const Applied& applied) const {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight& w = weight(index);
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    const Endpoint count = g.cast(step.count, w.dtype), one = number(1);
    const auto correction = [&](double beta) {
      return g.sub(one, g.op("Pow", {number(beta), count}));
    };
    const auto decay = [&](const Weight& kept, Endpoint value, double beta) {
      trace.assign_add(kept, g.mul(g.sub(value, trace.read(kept)), number(1 - beta)));
      return trace.read(kept);
    };
    const Endpoint rate = g.mul(g.cast(step.rate, w.dtype), number(adam_rate_ratio_));
    const Endpoint alpha =
        g.div(g.mul(rate, g.op("Sqrt", {correction(beta_2_)})), correction(beta_1_));
    const Endpoint square = applied.size ? applied.size : g.op("Square", {applied.gradient});
    const Endpoint mean = decay(slot(index, "momentum"), applied.gradient, beta_1_);
    const Endpoint size = decay(slot(index, "velocity"), square, beta_2_);
    trace.assign_sub(w, g.div(g.mul(mean, alpha), g.add(g.op("Sqrt", {size}), number(epsilon_))));
  }
  void update_by_muon(const Step& step, size_t index, const Applied& applied) const {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight &w = weight(index), &kept = slot(index, "momentum");
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    trace.assign_add(kept, g.add(applied.gradient, g.mul(trace.read(kept), number(momentum_ - 1))));
    Endpoint direction = trace.read(kept);
    if (nesterov_) direction = g.add(applied.gradient, g.mul(number(momentum_), direction));
    Endpoint change = g.mul(g.cast(step.rate, w.dtype), orthogonal(g, direction, w));
    if (rms_rate_) {
      const auto longer = static_cast<double>(std::max(w.shape[0], w.shape[1]));
      change = g.mul(g.mul(change, number(std::sqrt(longer))), number(*rms_rate_));
    }
    trace.assign_sub(w, change);
  }
  // The nearest matrix whose rows (or columns) are orthogonal, about, by Newton-Schulz.
  Endpoint orthogonal(GraphBuilder& g, Endpoint x, const Weight& w) const {
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    const bool tall = w.shape[0] > w.shape[1];
    const auto turn = [&](Endpoint matrix) {
      return tall ? g.op("Transpose", {matrix, g.integers({1, 0})}) : matrix;
    };
    x = turn(x);
    const int64_t both[] = {0, 1};
    const Endpoint norm = g.op("Sqrt", {g.sum(g.op("Square", {x}), both, true)});
    x = g.div(x, g.add(norm, number(1e-7)));
    for (int64_t step = 0; step < newton_schulz_steps_; ++step) {
      const Endpoint square = g.matmul(x, x, false, true);
      const Endpoint mixed =
          g.add(g.mul(number(b_), square), g.matmul(g.mul(number(c_), square), square));
      x = g.add(g.mul(number(a_), x), g.matmul(mixed, x));
    }
    return turn(x);
  }

  double beta_1_ = 0.9, beta_2_ = 0.999, epsilon_ = 1e-7;
  double a_ = 3.4445, b_ = -4.7750, c_ = 2.0315;
  double adam_rate_ratio_ = 1, momentum_;
  int64_t newton_schulz_steps_ = 5;
  bool nesterov_ = true, excludes_embeddings_ = true;
  Json excluded_ = Json::Array();  // parts of the paths of weights
  std::optional<double> adam_weight_decay_ = 0.004, rms_rate_ = 0.2;
};

}  // namespace

OptimizerPtr Muon(MuonOptions options) {
  return std::make_shared<MuonOptimizer>(std::move(options));
}

}  // namespace tenon::keras
