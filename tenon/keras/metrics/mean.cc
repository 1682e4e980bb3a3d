#include "tenon/keras/losses/builtin.h"
#include "tenon/keras/metrics/builtin.h"

namespace tenon::keras {

namespace metrics {

Endpoint number(GraphBuilder& g, double value) { return g.scalar_of(DType::kFloat, value); }

Endpoint sum_axis(GraphBuilder& g, Endpoint x, int64_t axis) {
  const int64_t axes[] = {axis};
  return g.sum(x, axes);
}

Endpoint mean_all(GraphBuilder& g, Endpoint x) {
  std::vector<int64_t> axes;
  for (int axis = 0; axis < g.shape(x).rank(); ++axis) axes.push_back(axis);
  return axes.empty() ? x : g.mean(x, axes);
}

namespace {

// Means over the axes from `first` on: positions of one sample, so that each sample counts once.
Endpoint mean_from(GraphBuilder& g, Endpoint x, int first) {
  std::vector<int64_t> axes;
  for (int axis = first; axis < g.shape(x).rank(); ++axis) axes.push_back(axis);
  return axes.empty() ? x : g.mean(x, axes);
}

class FunctionMean final : public MeanMetric {
 public:
  explicit FunctionMean(const MeanFunction& function) : function_(function) {}
  std::string_view class_name() const override { return function_.class_name; }
  Direction direction() const override { return function_.direction; }

 protected:
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    return function_.values(g, y_true, y_pred);
  }

 private:
  const MeanFunction& function_;
};

class LossMetric : public MeanMetric {
 public:
  explicit LossMetric(LossPtr loss) : loss_(std::move(loss)) {}
  std::string_view class_name() const override { return loss_->class_name(); }
  Direction direction() const override { return Direction::kDown; }

 protected:
  const Loss& loss() const { return *loss_; }

 private:
  LossPtr loss_;
};

class LossValues final : public LossMetric {
 public:
  using LossMetric::LossMetric;

 protected:
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    return loss().values(g, y_true, y_pred);
  }
};

// A loss that was made as an object gives one number for a batch, each of which counts the same.
class WholeLoss final : public LossMetric {
 public:
  using LossMetric::LossMetric;

 protected:
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    return loss()(g, y_true, y_pred, {});
  }
  bool heeds_mask() const override { return false; }
};

class LossMean final : public MeanMetric {
 public:
  std::string_view class_name() const override { return "Mean"; }
  Direction direction() const override { return Direction::kDown; }

 protected:
  Value values(GraphBuilder&, Endpoint, Endpoint y_pred) const override { return y_pred; }
};

}  // namespace

StatusOr<std::vector<Metric::Sum>> MeanMetric::sums(const PartialShape&,
                                                    const PartialShape&) const {
  return std::vector<Sum>{{"total"}, {"count"}};
}

// keras/src/metrics/reduction_metrics.py, reduce_to_samplewise_values.
std::vector<Endpoint> MeanMetric::addends(GraphBuilder& g, const Batch& batch) const {
  const Value judged = values(g, batch.y_true, batch.y_pred);
  Endpoint each = g.cast(judged.tensor, DType::kFloat);
  Endpoint weight =
      heeds_mask() ? masked_weight(g, batch.sample_weight, batch.mask, false) : batch.sample_weight;
  if (!g.status().ok()) return {};
  if (!weight) {
    each = mean_from(g, each, 1);
    return {losses::sum_all(g, each), losses::sum_all(g, g.op("OnesLike", {each}))};
  }
  // What the values leave out counts all the same where nothing has a weight, as in Keras.
  weight = g.cast(masked_weight(g, weight, judged.mask, false), DType::kFloat);
  match_ranks(g, each, weight);
  if (!g.status().ok()) return {};
  const int rank = g.shape(weight).rank();
  if (rank > 0) each = mean_from(g, each, rank);
  weight = g.op("BroadcastTo", {weight, g.shape_of(each)});
  each = mean_from(g, g.mul(each, weight), 1);
  return {losses::sum_all(g, each), losses::sum_all(g, mean_from(g, weight, 1))};
}

Endpoint MeanMetric::result(GraphBuilder& g, std::span<const Endpoint> sums) const {
  return g.op("DivNoNan", {sums[0], sums[1]});
}

MetricPtr mean_of(const MeanFunction& function) { return std::make_shared<FunctionMean>(function); }
MetricPtr mean_of(LossPtr loss) { return std::make_shared<LossValues>(std::move(loss)); }
MetricPtr mean_of_batches(LossPtr loss) { return std::make_shared<WholeLoss>(std::move(loss)); }

}  // namespace metrics

MetricPtr loss_mean(std::string name) {
  auto mean = std::make_shared<metrics::LossMean>();
  mean->rename(std::move(name));
  return mean;
}

}  // namespace tenon::keras
