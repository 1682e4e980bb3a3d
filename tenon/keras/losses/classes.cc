// Losses over the probabilities or scores of classes that are no plain cross-entropies.
#include "tenon/keras/losses/builtin.h"

namespace tenon::keras {

namespace {

// Sums over the last axis of a function of target and output.
class CategoricalHingeLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "CategoricalHinge"; }
  std::string_view name() const override { return "categorical_hinge"; }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    if (!g.status().ok()) return {};
    const int64_t last[] = {g.shape(output).rank() - 1};
    const Endpoint one = g.scalar_of(g.dtype(output), 1), zero = g.scalar_of(g.dtype(output), 0);
    const Endpoint right = g.sum(g.mul(target, output), last);
    const Endpoint wrong = g.op("Max", {g.mul(g.sub(one, target), output), g.integers(last)});
    return g.op("Maximum", {g.add(g.sub(wrong, right), one), zero});
  }
};

class KLDivergenceLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "KLDivergence"; }
  std::string_view name() const override { return "kl_divergence"; }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    if (!g.status().ok()) return {};
    const auto clip = [&](Endpoint p) {
      const Endpoint high = g.op("Minimum", {p, g.scalar_of(g.dtype(p), 1)});
      return g.op("Maximum", {high, g.scalar_of(g.dtype(p), losses::kEpsilon)});
    };
    const int64_t last[] = {g.shape(output).rank() - 1};
    const Endpoint wanted = clip(target);
    return g.sum(g.mul(wanted, g.op("Log", {g.div(wanted, clip(output))})), last);
  }
};

class BinaryFocalCrossentropyLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "BinaryFocalCrossentropy"; }
  std::string_view name() const override { return "binary_focal_crossentropy"; }
  void fields(ConfigFields& f) override {
    f.field("from_logits", o_.from_logits);
    f.field("label_smoothing", o_.label_smoothing);
    f.only("axis", -1);
    f.field("apply_class_balancing", balanced_);
    f.field("alpha", alpha_);
    f.field("gamma", gamma_);
  }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    auto [target, p] = losses::standardize(g, y_true, y_pred);
    if (!g.status().ok()) return {};
    target = losses::smooth(g, target, o_.label_smoothing, 0.5);
    if (o_.from_logits) p = g.op("Sigmoid", {p});
    const Endpoint logits = logits_of(g, p, "Sigmoid");
    const Endpoint entropy = logits ? losses::binary_entropy_of_logits(g, target, logits)
                                    : losses::binary_entropy(g, target, p);
    const Endpoint one = g.scalar_of(g.dtype(p), 1);
    const auto mix = [&, share = target](Endpoint yes, Endpoint no) {
      return g.add(g.mul(share, yes), g.mul(g.sub(one, share), no));
    };
    const Endpoint hit = mix(p, g.sub(one, p));
    const Endpoint factor = g.op("Pow", {g.sub(one, hit), g.scalar_of(g.dtype(p), gamma_)});
    Endpoint each = g.mul(factor, entropy);
    if (balanced_) {
      each = g.mul(mix(g.scalar_of(g.dtype(p), alpha_), g.scalar_of(g.dtype(p), 1 - alpha_)), each);
    }
    return losses::mean_of_last(g, each);
  }

 private:
  CrossentropyOptions o_;
  bool balanced_ = false;
  double alpha_ = 0.25, gamma_ = 2;
};

class CategoricalFocalCrossentropyLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "CategoricalFocalCrossentropy"; }
  std::string_view name() const override { return "categorical_focal_crossentropy"; }
  void fields(ConfigFields& f) override {
    f.field("from_logits", o_.from_logits);
    f.field("label_smoothing", o_.label_smoothing);
    f.only("axis", -1);
    f.field("alpha", alpha_);
    f.field("gamma", gamma_);
  }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    auto [target, output] = losses::standardize(g, y_true, y_pred);
    if (!g.status().ok()) return {};
    const int last_axis = g.shape(output).rank() - 1;
    const int64_t last[] = {last_axis}, classes = g.shape(output)[last_axis];
    target = losses::smooth(g, target, o_.label_smoothing, 1.0 / static_cast<double>(classes));
    if (o_.from_logits) output = g.op("Softmax", {output});
    const Endpoint p = losses::clip_probabilities(g, g.div(output, g.sum(output, last, true)));
    const auto number = [&](double value) { return g.scalar_of(g.dtype(p), value); };
    const Endpoint factor =
        g.mul(g.op("Pow", {g.sub(number(1), p), number(gamma_)}), number(alpha_));
    const Endpoint entropy = g.mul(g.neg(target), g.op("Log", {p}));
    return g.sum(g.mul(factor, entropy), last);
  }

 private:
  CrossentropyOptions o_;
  double alpha_ = 0.25, gamma_ = 2;
};

// One value for the whole batch: 1 minus how far what is wanted and what is found overlap.
class TverskyLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "Tversky"; }
  std::string_view name() const override { return "tversky"; }
  void fields(ConfigFields& f) override {
    f.field("alpha", alpha_);
    f.field("beta", beta_);
    f.only("axis", nullptr);
  }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    const auto number = [&, like = output](double value) {
      return g.scalar_of(g.dtype(like), value);
    };
    const Endpoint both = losses::sum_all(g, g.mul(target, output));
    const Endpoint missed = losses::sum_all(g, g.mul(g.sub(number(1), output), target));
    const Endpoint extra = losses::sum_all(g, g.mul(output, g.sub(number(1), target)));
    const Endpoint errors = g.add(g.mul(missed, number(alpha_)), g.mul(extra, number(beta_)));
    const Endpoint all = g.add(g.add(both, errors), number(losses::kEpsilon));
    return g.sub(number(1), g.div(both, all));
  }

 private:
  double alpha_ = 0.5, beta_ = 0.5;
};

class DiceLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "Dice"; }
  std::string_view name() const override { return "dice"; }
  void fields(ConfigFields& f) override { f.only("axis", nullptr); }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    const auto number = [&, like = output](double value) {
      return g.scalar_of(g.dtype(like), value);
    };
    const Endpoint both = g.mul(number(2), losses::sum_all(g, g.mul(target, output)));
    const Endpoint all = g.add(losses::sum_all(g, target), losses::sum_all(g, output));
    return g.sub(number(1), g.div(both, g.add(all, number(losses::kEpsilon))));
  }
};

}  // namespace

LossPtr CategoricalHinge() { return std::make_shared<CategoricalHingeLoss>(); }
LossPtr KLDivergence() { return std::make_shared<KLDivergenceLoss>(); }
LossPtr losses::make_binary_focal() { return std::make_shared<BinaryFocalCrossentropyLoss>(); }
LossPtr losses::make_categorical_focal() {
  return std::make_shared<CategoricalFocalCrossentropyLoss>();
}
LossPtr losses::make_tversky() { return std::make_shared<TverskyLoss>(); }
LossPtr losses::make_dice() { return std::make_shared<DiceLoss>(); }

}  // namespace tenon::keras
