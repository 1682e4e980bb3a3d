#include "tenon/keras/losses/builtin.h"

namespace tenon::keras {

namespace losses {

Endpoint smooth(GraphBuilder& g, Endpoint y_true, double smoothing, double share) {
  if (smoothing == 0) return y_true;
  return g.add(g.mul(y_true, g.scalar_of(g.dtype(y_true), 1 - smoothing)),
               g.scalar_of(g.dtype(y_true), smoothing * share));
}

Endpoint clip_probabilities(GraphBuilder& g, Endpoint p) {
  const Endpoint high = g.op("Minimum", {p, g.scalar_of(g.dtype(p), 1 - kEpsilon)});
  return g.op("Maximum", {high, g.scalar_of(g.dtype(p), kEpsilon)});
}

Pair standardize(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) {
  Pair pair{g.cast(y_true, g.dtype(y_pred)), y_pred};
  match_ranks(g, pair.y_true, pair.y_pred);
  return pair;
}

Endpoint class_numbers(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) {
  if (!g.status().ok()) return {};
  const Endpoint labels = g.cast(y_true, DType::kInt64);
  const PartialShape& shape = g.shape(labels);
  if (shape.rank() != g.shape(y_pred).rank() || shape[shape.rank() - 1] != 1) return labels;
  return g.op("Squeeze", {labels}, {{"squeeze_dims", std::vector<int64_t>{-1}}});
}

Endpoint sum_all(GraphBuilder& g, Endpoint x) {
  if (!g.status().ok()) return {};
  std::vector<int64_t> axes;
  for (int axis = 0; axis < g.shape(x).rank(); ++axis) axes.push_back(axis);
  return g.sum(x, axes);
}

Endpoint binary_entropy_of_logits(GraphBuilder& g, Endpoint target, Endpoint logits) {
  // max(x, 0) - x * y + log(1 + exp(-|x|)), with |x| written so that its gradient at 0 is
  // TensorFlow's.
  const Endpoint zeros = g.zeros_like(logits);
  const Endpoint positive = g.op("GreaterEqual", {logits, zeros});
  const Endpoint relu = g.op("SelectV2", {positive, logits, zeros});
  const Endpoint minus_abs = g.op("SelectV2", {positive, g.neg(logits), logits});
  const Endpoint tail = g.op("Log1p", {g.op("Exp", {minus_abs})});
  return g.add(g.sub(relu, g.mul(logits, target)), tail);
}

Endpoint binary_entropy(GraphBuilder& g, Endpoint target, Endpoint probabilities) {
  const Endpoint one = g.scalar_of(g.dtype(probabilities), 1);
  const Endpoint p = clip_probabilities(g, probabilities);
  const Endpoint yes = g.mul(target, g.op("Log", {p}));
  const Endpoint no = g.mul(g.sub(one, target), g.op("Log", {g.sub(one, p)}));
  return g.neg(g.add(yes, no));
}

}  // namespace losses

namespace {

class SparseCategoricalCrossentropyLoss final : public Loss {
 public:
  explicit SparseCategoricalCrossentropyLoss(CrossentropyOptions o) : o_(o) {}
  std::string_view class_name() const override { return "SparseCategoricalCrossentropy"; }
  std::string_view name() const override { return "sparse_categorical_crossentropy"; }
  void fields(ConfigFields& f) override {
    f.field("from_logits", o_.from_logits);
    f.field("ignore_class", ignored_);
    f.only("axis", -1);
  }
  bool wants_class_numbers() const override { return true; }
  std::optional<int64_t> ignored_class() const override { return ignored_; }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    Endpoint labels = losses::class_numbers(g, y_true, y_pred);
    if (!g.status().ok()) return {};
    if (g.shape(labels).rank() + 1 != g.shape(y_pred).rank()) {
      g.fail(invalid_argument("labels of shape ", g.shape(y_true),
                              " are no class numbers for predictions of shape ", g.shape(y_pred)));
      return {};
    }
    if (!ignored_) return each(g, labels, y_pred, logits_of(g, y_pred, "Softmax"));
    const Endpoint counts = g.op("NotEqual", {labels, g.scalar<int64_t>(*ignored_)});
    labels = g.op("SelectV2", {counts, labels, g.scalar<int64_t>(0)});
    const Endpoint by_class = g.op("ExpandDims", {counts, g.scalar<int32_t>(-1)});
    y_pred = g.op("SelectV2", {by_class, y_pred, g.scalar_of(g.dtype(y_pred), 0)});
    const Endpoint found = each(g, labels, y_pred, {});
    const Endpoint zero = g.scalar_of(g.dtype(found), 0);
    return Value(g.op("SelectV2", {counts, found, zero}), counts);
  }

 private:
  Endpoint each(GraphBuilder& g, Endpoint labels, Endpoint y_pred, Endpoint logits) const {
    if (!g.status().ok()) return {};
    if (!logits) {
      logits = o_.from_logits ? y_pred : g.op("Log", {losses::clip_probabilities(g, y_pred)});
    }
    const int rank = g.shape(labels).rank();
    const Endpoint label_shape = g.shape_of(labels);
    const PartialShape logits_shape = g.shape(logits);
    if (rank > 1) {
      labels = g.reshape(labels, g.integers({-1}));
      logits = g.reshape(logits, g.integers({-1, logits_shape[rank]}));
    }
    const Endpoint entropy = g.op("SparseSoftmaxCrossEntropyWithLogits", {logits, labels});
    return rank > 1 ? g.reshape(entropy, label_shape) : entropy;
  }

  CrossentropyOptions o_;
  std::optional<int64_t> ignored_;
};

class CategoricalCrossentropyLoss final : public Loss {
 public:
  explicit CategoricalCrossentropyLoss(CrossentropyOptions o) : o_(o) {}
  std::string_view class_name() const override { return "CategoricalCrossentropy"; }
  std::string_view name() const override { return "categorical_crossentropy"; }
  void fields(ConfigFields& f) override {
    f.field("from_logits", o_.from_logits);
    f.field("label_smoothing", o_.label_smoothing);
    f.only("axis", -1);
  }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    if (!g.status().ok()) return {};
    Endpoint target = g.cast(y_true, g.dtype(y_pred));
    const PartialShape shape = g.shape(y_pred);
    const int rank = shape.rank();
    if (g.shape(target).rank() != rank || g.shape(target)[rank - 1] != shape[rank - 1]) {
      g.fail(invalid_argument("categorical_crossentropy wants targets of the predictions' shape ",
                              shape, ", not ", g.shape(target),
                              "; for class numbers there is sparse_categorical_crossentropy"));
      return {};
    }
    target =
        losses::smooth(g, target, o_.label_smoothing, 1.0 / static_cast<double>(shape[rank - 1]));
    Endpoint logits = logits_of(g, y_pred, "Softmax");
    if (!logits && o_.from_logits) logits = y_pred;
    const int64_t classes[] = {rank - 1};
    if (logits && rank == 2) return g.op("SoftmaxCrossEntropyWithLogits", {logits, target});
    if (logits) return g.neg(g.sum(g.mul(target, g.op("LogSoftmax", {logits})), classes));
    const Endpoint p = g.div(y_pred, g.sum(y_pred, classes, true));
    const Endpoint log = g.op("Log", {losses::clip_probabilities(g, p)});
    return g.neg(g.sum(g.mul(target, log), classes));
  }

 private:
  CrossentropyOptions o_;
};

class BinaryCrossentropyLoss final : public Loss {
 public:
  explicit BinaryCrossentropyLoss(CrossentropyOptions o) : o_(o) {}
  std::string_view class_name() const override { return "BinaryCrossentropy"; }
  std::string_view name() const override { return "binary_crossentropy"; }
  void fields(ConfigFields& f) override {
    f.field("from_logits", o_.from_logits);
    f.field("label_smoothing", o_.label_smoothing);
    f.only("axis", -1);
  }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    Endpoint logits = logits_of(g, y_pred, "Sigmoid");
    if (!logits && o_.from_logits) logits = y_pred;
    auto [target, output] = losses::standardize(g, y_true, logits ? logits : y_pred);
    if (!g.status().ok()) return {};
    target = losses::smooth(g, target, o_.label_smoothing, 0.5);
    return losses::mean_of_last(g, logits ? losses::binary_entropy_of_logits(g, target, output)
                                          : losses::binary_entropy(g, target, output));
  }

 private:
  CrossentropyOptions o_;
};

}  // namespace

LossPtr SparseCategoricalCrossentropy(CrossentropyOptions options) {
  return std::make_shared<SparseCategoricalCrossentropyLoss>(options);
}
LossPtr CategoricalCrossentropy(CrossentropyOptions options) {
  return std::make_shared<CategoricalCrossentropyLoss>(options);
}
LossPtr BinaryCrossentropy(CrossentropyOptions options) {
  return std::make_shared<BinaryCrossentropyLoss>(options);
}

}  // namespace tenon::keras
