#include "tenon/keras/losses/builtin.h"
#include "tenon/keras/metrics/builtin.h"

namespace tenon::keras::metrics {

namespace {

constexpr MeanFunction kLogCoshError = {"LogCoshError",
                                        [](GraphBuilder& g, Endpoint y_true, Endpoint y_pred) {
                                          return LogCosh()->values(g, y_true, y_pred).tensor;
                                        },
                                        Metric::Direction::kDown};

// Of the angle; the loss is minus it.
constexpr MeanFunction kCosineSimilarity = {
    "CosineSimilarity", [](GraphBuilder& g, Endpoint y_true, Endpoint y_pred) {
      const auto [target, output] = losses::standardize(g, y_true, y_pred);
      return losses::cosine(g, target, output);
    }};

// Along the last axis, which is kept.
struct Spread {
  Endpoint mean, around, variance;
};

Spread spread(GraphBuilder& g, Endpoint x) {
  if (!g.status().ok()) return {};
  const int64_t last[] = {g.shape(x).rank() - 1};
  Spread found;
  found.mean = g.mean(x, last, true);
  found.around = g.sub(x, found.mean);
  // Of what is already about 0, as Keras takes it.
  const Endpoint rest = g.sub(found.around, g.mean(found.around, last, true));
  found.variance = g.mean(g.op("Square", {rest}), last, true);
  return found;
}

class Correlation : public MeanMetric {
 public:
  void fields(ConfigFields& f) override { f.only("axis", -1); }
};

class PearsonCorrelation final : public Correlation {
 public:
  std::string_view class_name() const override { return "PearsonCorrelation"; }

 protected:
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    const Spread wanted = spread(g, target), found = spread(g, output);
    const Endpoint a = g.div(wanted.around, g.op("Sqrt", {wanted.variance}));
    const Endpoint b = g.div(found.around, g.op("Sqrt", {found.variance}));
    return losses::mean_of_last(g, g.mul(a, b));
  }
};

class ConcordanceCorrelation final : public Correlation {
 public:
  std::string_view class_name() const override { return "ConcordanceCorrelation"; }

 protected:
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    const Spread wanted = spread(g, target), found = spread(g, output);
    const auto scalar = [&, dtype = g.dtype(output)](double value) {
      return g.scalar_of(dtype, value);
    };
    // Keras takes the predictions' mean off both.
    const Endpoint shared = g.mul(g.sub(target, found.mean), found.around);
    const Endpoint apart = g.op("Square", {g.sub(wanted.mean, found.mean)});
    const Endpoint norm = g.add(g.add(wanted.variance, found.variance), apart);
    const Endpoint each = g.div(g.mul(scalar(2), shared), g.add(norm, scalar(losses::kEpsilon)));
    return losses::mean_of_last(g, each);
  }
};

class RootMeanSquaredError final : public MeanMetric {
 public:
  std::string_view class_name() const override { return "RootMeanSquaredError"; }
  Direction direction() const override { return Direction::kDown; }
  Endpoint result(GraphBuilder& g, std::span<const Endpoint> sums) const override {
    return g.op("Sqrt", {MeanMetric::result(g, sums)});
  }

 protected:
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    Endpoint target = g.cast(y_true, DType::kFloat), output = g.cast(y_pred, DType::kFloat);
    match_ranks(g, target, output);
    return g.op("Square", {g.sub(output, target)});
  }
  bool heeds_mask() const override { return false; }
};

// keras/src/metrics/regression_metrics.py, R2Score.
class R2Score final : public Metric {
 public:
  std::string_view class_name() const override { return "R2Score"; }
  void fields(ConfigFields& f) override {
    f.field("class_aggregation", aggregation_);
    f.field("num_regressors", regressors_);
  }
  Status check() override {
    const bool known = aggregation_.is_null() || aggregation_ == Json("uniform_average") ||
                       aggregation_ == Json("variance_weighted_average");
    if (!known) {
      return invalid_argument("metric R2Score: 'class_aggregation' is ", aggregation_.dump(),
                              ", expected null, uniform_average or variance_weighted_average");
    }
    if (regressors_ >= 0) return absl::OkStatus();
    return invalid_argument("metric R2Score: 'num_regressors' is ", regressors_,
                            ", expected 0 or more");
  }
  StatusOr<std::vector<Sum>> sums(const PartialShape& y_true,
                                  const PartialShape& y_pred) const override {
    const bool column = y_true.rank() == 1 && y_pred.rank() == 2 && y_pred[1] == 1;
    if (y_pred.rank() != 2 || (y_true.rank() != 2 && !column) || y_pred[1] < 0) {
      return invalid_argument(
          "R2Score wants targets and predictions of shape (rows, outputs), not ", y_true, " and ",
          y_pred);
    }
    const Shape each{y_pred[1]};
    return std::vector<Sum>{
        {"num_samples"}, {"squared_sum", each}, {"sum", each}, {"residual", each}, {"count", each}};
  }
  std::vector<Endpoint> addends(GraphBuilder& g, const Batch& batch) const override {
    Endpoint target = g.cast(batch.y_true, DType::kFloat);
    Endpoint output = g.cast(batch.y_pred, DType::kFloat);
    match_ranks(g, target, output);
    Endpoint weight = number(g, 1);
    if (batch.sample_weight) weight = g.cast(batch.sample_weight, DType::kFloat);
    if (!g.status().ok()) return {};
    if (g.shape(weight).rank() == 1) weight = g.op("ExpandDims", {weight, g.scalar<int32_t>(1)});
    weight = g.op("BroadcastTo", {weight, g.shape_of(target)});
    const Endpoint weighted = g.mul(target, weight);
    const Endpoint error = g.mul(g.op("Square", {g.sub(target, output)}), weight);
    const Endpoint samples = g.op("Size", {target}, {{"out_type", DType::kInt32}});
    return {g.cast(samples, DType::kFloat), sum_axis(g, g.mul(target, weighted), 0),
            sum_axis(g, weighted, 0), sum_axis(g, error, 0), sum_axis(g, weight, 0)};
  }
  Endpoint result(GraphBuilder& g, std::span<const Endpoint> sums) const override {
    const Endpoint samples = sums[0], squares = sums[1], sum = sums[2], residual = sums[3];
    const Endpoint total = g.sub(squares, g.mul(sum, g.div(sum, sums[4])));
    Endpoint score = g.sub(number(g, 1), g.div(residual, total));
    score = g.op("SelectV2", {g.op("IsInf", {score}), number(g, 0), score});
    if (aggregation_ == Json("uniform_average")) {
      score = mean_all(g, score);
    } else if (aggregation_ == Json("variance_weighted_average")) {
      score = g.div(losses::sum_all(g, g.mul(total, score)), losses::sum_all(g, total));
    }
    return regressors_ == 0 ? score : adjusted(g, score, samples);
  }

 private:
  // By the number of regressors; where there are too few samples for them, the score itself.
  Endpoint adjusted(GraphBuilder& g, Endpoint score, Endpoint samples) const {
    const Endpoint one = number(g, 1);
    const Endpoint others = g.sub(samples, one);
    const Endpoint left = g.sub(others, number(g, static_cast<double>(regressors_)));
    const Endpoint lower = g.sub(one, g.div(g.mul(g.sub(one, score), others), left));
    return g.op("SelectV2", {g.op("Greater", {left, number(g, 0)}), lower, score});
  }

  Json aggregation_ = "uniform_average";
  int64_t regressors_ = 0;
};

}  // namespace

MetricPtr make_log_cosh_error() { return mean_of(kLogCoshError); }
MetricPtr make_cosine_similarity() { return mean_of(kCosineSimilarity); }
MetricPtr make_root_mean_squared_error() { return std::make_shared<RootMeanSquaredError>(); }
MetricPtr make_pearson_correlation() { return std::make_shared<PearsonCorrelation>(); }
MetricPtr make_concordance_correlation() { return std::make_shared<ConcordanceCorrelation>(); }
MetricPtr make_r2_score() { return std::make_shared<R2Score>(); }

}  // namespace tenon::keras::metrics
