#include "tenon/keras/losses/builtin.h"
#include "tenon/keras/metrics/builtin.h"

namespace tenon::keras::metrics {

namespace {

// keras/src/metrics/f_score_metrics.py. F1Score is the one of beta 1, which is no option of it.
class FScore final : public Metric {
 public:
  FScore(std::string_view class_name, bool has_beta)
      : class_name_(class_name), has_beta_(has_beta) {}
  std::string_view class_name() const override { return class_name_; }
  void fields(ConfigFields& f) override {
    f.field("average", average_);
    if (has_beta_) f.field("beta", beta_);
    f.field("threshold", threshold_);
  }
  Status check() override {
    const bool known = average_.is_null() || average_ == Json("micro") ||
                       average_ == Json("macro") || average_ == Json("weighted");
    if (!known) {
      return invalid_argument("metric ", class_name_, ": 'average' is ", average_.dump(),
                              ", expected null, micro, macro or weighted");
    }
    if (!(beta_ > 0)) {
      return invalid_argument("metric ", class_name_, ": 'beta' is ", beta_, ", expected above 0");
    }
    if (threshold_ && !(*threshold_ > 0 && *threshold_ <= 1)) {
      return invalid_argument("metric ", class_name_, ": 'threshold' is ", *threshold_,
                              ", expected above 0 and not above 1");
    }
    return absl::OkStatus();
  }
  StatusOr<std::vector<Sum>> sums(const PartialShape& y_true,
                                  const PartialShape& y_pred) const override {
    if (y_true.rank() != 2 || y_pred.rank() != 2 || y_pred[1] < 0) {
      return invalid_argument(class_name_,
                              " wants targets and predictions of shape (rows, classes)", ", not ",
                              y_true, " and ", y_pred);
    }
    const Shape shape = is_micro() ? Shape() : Shape{y_pred[1]};
    return std::vector<Sum>{{"true_positives", shape},
                            {"false_positives", shape},
                            {"false_negatives", shape},
                            {"intermediate_weights", shape}};
  }
  std::vector<Endpoint> addends(GraphBuilder& g, const Batch& batch) const override {
    const Endpoint yes = g.cast(batch.y_true, DType::kFloat), one = number(g, 1);
    const Endpoint found = g.cast(is_found(g, g.cast(batch.y_pred, DType::kFloat)), DType::kFloat);
    Endpoint weight;
    if (batch.sample_weight) {
      weight =
          g.op("ExpandDims", {g.cast(batch.sample_weight, DType::kFloat), g.scalar<int32_t>(1)});
    }
    const auto sum = [&](Endpoint each) {
      if (weight) each = g.mul(each, weight);
      return is_micro() ? losses::sum_all(g, each) : sum_axis(g, each, 0);
    };
    return {sum(g.mul(found, yes)), sum(g.mul(found, g.sub(one, yes))),
            sum(g.mul(g.sub(one, found), yes)), sum(yes)};
  }
  Endpoint result(GraphBuilder& g, std::span<const Endpoint> sums) const override {
    const Endpoint epsilon = number(g, losses::kEpsilon);
    const auto rate = [&](Endpoint others) {
      return g.div(sums[0], g.add(g.add(sums[0], others), epsilon));
    };
    const Endpoint precision = rate(sums[1]), recall = rate(sums[2]);
    const double square = beta_ * beta_;
    const Endpoint both = g.add(g.mul(number(g, square), precision), recall);
    const Endpoint mean = g.div(g.mul(precision, recall), g.add(both, epsilon));
    const Endpoint score = g.mul(mean, number(g, 1 + square));
    if (average_ == Json("weighted")) {
      const Endpoint all = g.add(losses::sum_all(g, sums[3]), epsilon);
      return losses::sum_all(g, g.mul(score, g.div(sums[3], all)));
    }
    return average_.is_null() ? score : mean_all(g, score);
  }

 private:
  bool is_micro() const { return average_ == Json("micro"); }
  // Above the threshold; without one the largest of a row, unless that is 0.
  Endpoint is_found(GraphBuilder& g, Endpoint predictions) const {
    if (threshold_) return g.op("Greater", {predictions, number(g, *threshold_)});
    const Endpoint largest = g.op("Max", {predictions, g.integers({-1})}, {{"keep_dims", true}});
    const Endpoint is_some = g.op("Greater", {g.op("Abs", {predictions}), number(g, 1e-9)});
    return g.op("LogicalAnd", {g.op("GreaterEqual", {predictions, largest}), is_some});
  }

  const std::string_view class_name_;
  const bool has_beta_;
  Json average_;
  double beta_ = 1;
  std::optional<double> threshold_;
};

}  // namespace

MetricPtr make_fbeta_score() { return std::make_shared<FScore>("FBetaScore", true); }
MetricPtr make_f1_score() { return std::make_shared<FScore>("F1Score", false); }

}  // namespace tenon::keras::metrics
