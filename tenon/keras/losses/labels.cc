// Losses whose targets are class numbers, or sequences of them, that are no cross-entropies.
#include <limits>

#include "tenon/keras/losses/builtin.h"

namespace tenon::keras {

namespace {

// Of all alignments of a sequence of classes to the steps of the predictions, which are logits.
// Class 0 stands for none.
class CtcLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "CTC"; }
  std::string_view name() const override { return "ctc"; }
  bool wants_class_numbers() const override { return true; }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    if (!g.status().ok()) return {};
    if (g.shape(y_true).rank() != 2 || g.shape(y_pred).rank() != 3) {
      g.fail(
          invalid_argument("ctc wants class numbers of shape (rows, length) and logits of (rows, ",
                           "steps, classes), not ", g.shape(y_true), " and ", g.shape(y_pred)));
      return {};
    }
    const Endpoint none = g.scalar<int32_t>(0), one = g.scalar<int32_t>(1);
    Endpoint labels = g.cast(y_true, DType::kInt32);
    // The op refuses rows without labels: they get one, and their loss is that of no label.
    const Endpoint is_label = g.op("NotEqual", {labels, none});
    const Endpoint has_labels = g.op("Any", {is_label, g.integers({1})});
    const Endpoint is_first = g.op("Equal", {g.op("Range", {none, g.dim(y_true, 1), one}), none});
    const Endpoint is_bare =
        g.op("ExpandDims", {g.op("LogicalNot", {has_labels}), g.scalar<int32_t>(1)});
    labels = g.op("SelectV2", {g.op("LogicalAnd", {is_bare, is_first}), one, labels});
    const Endpoint places = g.op("Where", {g.op("NotEqual", {labels, none})});
    // The op takes the last class for none.
    const Endpoint classes = g.sub(g.op("GatherNd", {labels, places}), one);
    const Endpoint logits = g.cast(y_pred, DType::kFloat);
    const Endpoint turned = g.op("Roll", {logits, g.scalar<int32_t>(-1), g.scalar<int32_t>(2)});
    const Endpoint by_step = g.op("Transpose", {turned, g.integers({1, 0, 2})});
    const Endpoint rows = g.reshape(g.dim(y_pred, 0), g.integers({1}));
    const Endpoint lengths = g.op("Fill", {rows, g.dim(y_pred, 1)});
    const Endpoint loss = g.op("CTCLoss", {by_step, places, classes, lengths});
    const Endpoint log = g.op("LogSoftmax", {logits});
    const Endpoint of_none = g.op("GatherV2", {log, none, g.scalar<int32_t>(2)});
    const int64_t steps[] = {1};
    return g.op("SelectV2", {has_labels, loss, g.neg(g.sum(of_none, steps))});
  }
};

// Circle loss of embeddings of length 1: those of a class draw each other near.
class CircleLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "Circle"; }
  std::string_view name() const override { return "circle"; }
  void fields(ConfigFields& f) override {
    f.field("gamma", gamma_);
    f.field("margin", margin_);
    f.field("remove_diagonal", without_itself_);
  }
  bool compares_elements() const override { return false; }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    if (!g.status().ok()) return {};
    if (g.shape(y_pred).rank() != 2 || g.shape(y_true).rank() > 2) {
      g.fail(
          invalid_argument("circle wants class numbers of shape (rows) and embeddings of (rows, ",
                           "size), not ", g.shape(y_true), " and ", g.shape(y_pred)));
      return {};
    }
    const auto number = [&](double value) { return g.scalar_of(g.dtype(y_pred), value); };
    const Endpoint distance =
        g.op("Maximum", {g.sub(number(1), g.matmul(y_pred, y_pred, false, true)), number(0)});
    const Endpoint labels = g.cast(y_true, DType::kInt32);
    const Endpoint column = g.reshape(labels, g.integers({-1, 1}));
    Endpoint alike = g.op("Equal", {column, g.reshape(labels, g.integers({1, -1}))});
    const Endpoint apart = g.op("LogicalNot", {alike});
    if (without_itself_) {
      const Endpoint rows =
          g.op("Range", {g.scalar<int32_t>(0), g.dim(y_pred, 0), g.scalar<int32_t>(1)});
      const Endpoint others = g.op(
          "NotEqual", {g.reshape(rows, g.integers({-1, 1})), g.reshape(rows, g.integers({1, -1}))});
      alike = g.op("LogicalAnd", {alike, others});
    }
    const auto weight = [&](Endpoint far, Endpoint pairs) {
      return g.op("Maximum", {g.mul(far, g.cast(pairs, g.dtype(y_pred))), number(0)});
    };
    const Endpoint near =
        g.mul(g.mul(number(-gamma_), weight(g.add(number(margin_), distance), alike)),
              g.sub(number(margin_), distance));
    const Endpoint far =
        g.mul(g.mul(number(gamma_), weight(g.sub(number(1 + margin_), distance), apart)),
              g.sub(number(1 - margin_), distance));
    const Endpoint loss =
        g.op("Softplus", {g.add(log_of_sum(g, alike, near), log_of_sum(g, apart, far))});
    return Value(loss, g.op("Greater", {loss, number(0)}));
  }

 private:
  // log(sum(exp())) of those of a row that `pairs` holds.
  static Endpoint log_of_sum(GraphBuilder& g, Endpoint pairs, Endpoint x) {
    const double none = -std::numeric_limits<double>::infinity();
    const int64_t columns[] = {1};
    x = g.op("SelectV2", {pairs, x, g.scalar_of(g.dtype(x), none)});
    Endpoint largest = g.op("Max", {x, g.integers({1})}, {{"keep_dims", true}});
    const Endpoint finite = g.op("IsFinite", {largest});
    largest = g.op("StopGradient", {g.op("SelectV2", {finite, largest, g.zeros_like(largest)})});
    const Endpoint sum = g.sum(g.op("Exp", {g.sub(x, largest)}), columns);
    return g.add(g.op("Log", {sum}),
                 g.op("Squeeze", {largest}, {{"squeeze_dims", std::vector<int64_t>{1}}}));
  }

  double gamma_ = 80, margin_ = 0.4;
  bool without_itself_ = true;
};

// Between cross-entropy (q near 0) and absolute error (near 1), for labels that may be wrong.
class GeneralizedCrossentropyLoss final : public Loss {
 public:
  std::string_view class_name() const override { return "CategoricalGeneralizedCrossEntropy"; }
  std::string_view name() const override { return "categorical_generalized_cross_entropy"; }
  void fields(ConfigFields& f) override { f.field("q", q_); }
  bool wants_class_numbers() const override { return true; }
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const Endpoint labels = losses::class_numbers(g, y_true, y_pred);
    if (!g.status().ok()) return {};
    if (!(q_ > 0 && q_ < 1)) {
      g.fail(invalid_argument("categorical_generalized_cross_entropy: 'q' is ", q_,
                              ", expected between 0 and 1"));
      return {};
    }
    const auto number = [&](double value) { return g.scalar_of(g.dtype(y_pred), value); };
    const int last_axis = g.shape(y_pred).rank() - 1;
    const int64_t last[] = {last_axis};
    const Endpoint hot = g.op("OneHot", {labels, g.dim(y_pred, last_axis), number(1), number(0)},
                              {{"axis", int64_t{-1}}});
    const Endpoint p = g.sum(g.mul(y_pred, hot), last);
    return g.div(g.sub(number(1), g.op("Pow", {p, number(q_)})), number(q_));
  }

 private:
  double q_ = 0.5;
};

}  // namespace

LossPtr losses::make_ctc() { return std::make_shared<CtcLoss>(); }
LossPtr losses::make_circle() { return std::make_shared<CircleLoss>(); }
LossPtr losses::make_generalized_crossentropy() {
  return std::make_shared<GeneralizedCrossentropyLoss>();
}

}  // namespace tenon::keras
