#include <numbers>

#include "tenon/keras/losses/builtin.h"

namespace tenon::keras {

namespace {

// Losses that are the mean over the last axis of a function of target and output.
struct ElementRow {
  std::string_view class_name;
  std::string_view name;
  Endpoint (*each)(GraphBuilder& g, Endpoint target, Endpoint output);
};

Endpoint number(GraphBuilder& g, Endpoint like, double value) {
  return g.scalar_of(g.dtype(like), value);
}

Endpoint at_least_epsilon(GraphBuilder& g, Endpoint x) {
  return g.op("Maximum", {x, number(g, x, losses::kEpsilon)});
}

constexpr ElementRow kSquared = {"MeanSquaredError", "mean_squared_error",
                                 [](GraphBuilder& g, Endpoint target, Endpoint output) {
                                   return g.op("Square", {g.sub(target, output)});
                                 }};

constexpr ElementRow kAbsolute = {"MeanAbsoluteError", "mean_absolute_error",
                                  [](GraphBuilder& g, Endpoint target, Endpoint output) {
                                    return g.op("Abs", {g.sub(target, output)});
                                  }};

constexpr ElementRow kPercentage = {
    "MeanAbsolutePercentageError", "mean_absolute_percentage_error",
    [](GraphBuilder& g, Endpoint target, Endpoint output) {
      const Endpoint size = at_least_epsilon(g, g.op("Abs", {target}));
      const Endpoint share = g.op("Abs", {g.div(g.sub(target, output), size)});
      return g.mul(number(g, share, 100), share);
    }};

constexpr ElementRow kLogarithmic = {
    "MeanSquaredLogarithmicError", "mean_squared_logarithmic_error",
    [](GraphBuilder& g, Endpoint target, Endpoint output) {
      const auto log = [&](Endpoint x) {
        return g.op("Log", {g.add(at_least_epsilon(g, x), number(g, x, 1))});
      };
      return g.op("Square", {g.sub(log(output), log(target))});
    }};

constexpr ElementRow kLogCosh = {
    "LogCosh", "log_cosh", [](GraphBuilder& g, Endpoint target, Endpoint output) {
      const Endpoint x = g.sub(output, target);
      const Endpoint rest = g.op("Softplus", {g.mul(x, number(g, x, -2))});
      return g.sub(g.add(x, rest), number(g, x, std::numbers::ln2));
    }};

constexpr ElementRow kPoisson = {
    "Poisson", "poisson", [](GraphBuilder& g, Endpoint target, Endpoint output) {
      const Endpoint rate = g.add(output, number(g, output, losses::kEpsilon));
      return g.sub(output, g.mul(target, g.op("Log", {rate})));
    }};

// Labels of 0 and 1 become -1 and 1; a batch that has others stays as it is.
Endpoint margin(GraphBuilder& g, Endpoint target, Endpoint output) {
  if (!g.status().ok()) return {};
  const Endpoint one = number(g, target, 1), zero = number(g, target, 0);
  const Endpoint binary =
      g.op("LogicalOr", {g.op("Equal", {target, zero}), g.op("Equal", {target, one})});
  std::vector<int64_t> axes;
  for (int axis = 0; axis < g.shape(target).rank(); ++axis) axes.push_back(axis);
  const Endpoint all = g.op("All", {binary, g.integers(axes)});
  const Endpoint signs = g.sub(g.mul(number(g, target, 2), target), one);
  target = g.op("SelectV2", {all, signs, target});
  return g.op("Maximum", {g.sub(one, g.mul(target, output)), zero});
}

constexpr ElementRow kHinge = {"Hinge", "hinge", margin};

constexpr ElementRow kSquaredHinge = {"SquaredHinge", "squared_hinge",
                                      [](GraphBuilder& g, Endpoint target, Endpoint output) {
                                        return g.op("Square", {margin(g, target, output)});
                                      }};

class ElementLoss final : public Loss {
 public:
  explicit ElementLoss(const ElementRow& row) : row_(row) {}
  std::string_view class_name() const override { return row_.class_name; }
  std::string_view name() const override { return row_.name; }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    return losses::mean_of_last(g, row_.each(g, target, output));
  }

 private:
  const ElementRow& row_;
};

class HuberLoss final : public Loss {
 public:
  explicit HuberLoss(double delta) : delta_(delta) {}
  std::string_view class_name() const override { return "Huber"; }
  std::string_view name() const override { return "huber"; }
  void fields(ConfigFields& f) override { f.field("delta", delta_); }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    const Endpoint error = g.sub(output, target), size = g.op("Abs", {error});
    const Endpoint delta = number(g, size, delta_), half = number(g, size, 0.5);
    const Endpoint square = g.mul(half, g.op("Square", {error}));
    const Endpoint line = g.sub(g.mul(delta, size), number(g, size, 0.5 * delta_ * delta_));
    const Endpoint near = g.op("LessEqual", {size, delta});
    return losses::mean_of_last(g, g.op("SelectV2", {near, square, line}));
  }

 private:
  double delta_;
};

// Minus the cosine of the angle between target and output.
class CosineSimilarityLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "CosineSimilarity"; }
  std::string_view name() const override { return "cosine_similarity"; }
  void fields(ConfigFields& f) override { f.only("axis", -1); }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    return g.neg(losses::cosine(g, target, output));
  }
};

}  // namespace

Endpoint losses::mean_of_last(GraphBuilder& g, Endpoint each) {
  if (!g.status().ok()) return {};
  const int64_t last[] = {g.shape(each).rank() - 1};
  return g.mean(each, last);
}

Endpoint losses::cosine(GraphBuilder& g, Endpoint target, Endpoint output) {
  if (!g.status().ok()) return {};
  const int64_t last[] = {g.shape(output).rank() - 1};
  const auto unit = [&](Endpoint x) {
    const Endpoint inverse = g.op("Rsqrt", {g.sum(g.op("Square", {x}), last, true)});
    return g.mul(x, g.op("Minimum", {inverse, number(g, x, 1 / kEpsilon)}));
  };
  return g.sum(g.mul(unit(target), unit(output)), last);
}

LossPtr MeanSquaredError() { return std::make_shared<ElementLoss>(kSquared); }
LossPtr MeanAbsoluteError() { return std::make_shared<ElementLoss>(kAbsolute); }
LossPtr MeanAbsolutePercentageError() { return std::make_shared<ElementLoss>(kPercentage); }
LossPtr MeanSquaredLogarithmicError() { return std::make_shared<ElementLoss>(kLogarithmic); }
LossPtr LogCosh() { return std::make_shared<ElementLoss>(kLogCosh); }
LossPtr Poisson() { return std::make_shared<ElementLoss>(kPoisson); }
LossPtr Hinge() { return std::make_shared<ElementLoss>(kHinge); }
LossPtr SquaredHinge() { return std::make_shared<ElementLoss>(kSquaredHinge); }
LossPtr Huber(double delta) { return std::make_shared<HuberLoss>(delta); }
LossPtr CosineSimilarity() { return std::make_shared<CosineSimilarityLoss>(); }

}  // namespace tenon::keras
