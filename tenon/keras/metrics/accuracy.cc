#include "tenon/keras/metrics/builtin.h"

namespace tenon::keras::metrics {

namespace {

constexpr int64_t kAllRows[] = {-1};

Endpoint most_likely(GraphBuilder& g, Endpoint y) {
  return g.op("ArgMax", {y, g.scalar<int32_t>(-1)}, {{"output_type", DType::kInt64}});
}

constexpr MeanFunction kAccuracy = {
    "Accuracy", [](GraphBuilder& g, Endpoint y_true, Endpoint y_pred) {
      match_ranks(g, y_true, y_pred);
      return g.op("Equal", {g.cast(y_true, g.dtype(y_pred)), y_pred});
    }};

constexpr MeanFunction kCategoricalAccuracy = {
    "CategoricalAccuracy", [](GraphBuilder& g, Endpoint y_true, Endpoint y_pred) {
      return g.op("Equal", {most_likely(g, y_true), most_likely(g, y_pred)});
    }};

constexpr MeanFunction kSparseCategoricalAccuracy = {
    "SparseCategoricalAccuracy", [](GraphBuilder& g, Endpoint y_true, Endpoint y_pred) {
      if (!g.status().ok()) return Endpoint();
      const PartialShape& shape = g.shape(y_true);
      Endpoint labels = g.cast(y_true, DType::kInt64);
      if (shape.rank() == g.shape(y_pred).rank() && shape[shape.rank() - 1] == 1) {
        labels = g.op("Squeeze", {labels}, {{"squeeze_dims", std::vector<int64_t>{-1}}});
      }
      return g.op("Equal", {labels, most_likely(g, y_pred)});
    }};

class BinaryAccuracy final : public MeanMetric {
 public:
  std::string_view class_name() const override { return "BinaryAccuracy"; }
  void fields(ConfigFields& f) override { f.field("threshold", threshold_); }

 protected:
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    match_ranks(g, y_true, y_pred);
    const Endpoint above = g.op("Greater", {y_pred, g.scalar_of(g.dtype(y_pred), threshold_)});
    return g.op("Equal", {y_true, g.cast(above, g.dtype(y_true))});
  }

 private:
  double threshold_ = 0.5;
};

// Of targets that are class numbers, or of the largest of one for each class.
class TopKAccuracy final : public MeanMetric {
 public:
  explicit TopKAccuracy(bool sparse) : sparse_(sparse) {}
  std::string_view class_name() const override {
    return sparse_ ? "SparseTopKCategoricalAccuracy" : "TopKCategoricalAccuracy";
  }
  void fields(ConfigFields& f) override {
    f.field("k", k_);
    if (sparse_) f.field("from_sorted_ids", from_sorted_ids_);
  }

 protected:
  Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    if (!sparse_) y_true = most_likely(g, y_true);
    if (!g.status().ok()) return {};
    const PartialShape shape = g.shape(y_pred);
    // Keras takes the rows of all positions for one batch.
    const auto all_rows = std::span<const int64_t>(kAllRows);
    const Endpoint rows = g.reshape(y_pred, g.integers({-1, shape[shape.rank() - 1]}));
    Endpoint hits;
    if (from_sorted_ids_) {
      const Endpoint ids = g.reshape(g.cast(y_true, g.dtype(y_pred)), g.integers({-1, 1}));
      const Endpoint first =
          g.op("Slice", {rows, g.integers({0, 0}), g.integers({-1, std::min(k_, shape[1])})});
      hits = g.op("Any", {g.op("Equal", {ids, first}), g.integers({1})});
    } else {
      const Endpoint labels = g.reshape(g.cast(y_true, DType::kInt32), all_rows);
      const Endpoint k = g.scalar(static_cast<int32_t>(k_));
      hits = g.op("InTopKV2", {g.cast(rows, DType::kFloat), labels, k});
    }
    const bool column = g.shape(y_true).rank() == shape.rank();
    return shape.rank() == 2 || column ? hits : g.reshape(hits, g.shape_of(y_true));
  }

 private:
  const bool sparse_;
  int64_t k_ = 5;
  bool from_sorted_ids_ = false;
};

}  // namespace

MetricPtr make_accuracy() { return mean_of(kAccuracy); }
MetricPtr make_categorical_accuracy() { return mean_of(kCategoricalAccuracy); }
MetricPtr make_sparse_categorical_accuracy() { return mean_of(kSparseCategoricalAccuracy); }
MetricPtr make_binary_accuracy() { return std::make_shared<BinaryAccuracy>(); }
MetricPtr make_top_k_accuracy() { return std::make_shared<TopKAccuracy>(false); }
MetricPtr make_sparse_top_k_accuracy() { return std::make_shared<TopKAccuracy>(true); }

}  // namespace tenon::keras::metrics
