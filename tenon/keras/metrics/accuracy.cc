#include "tenon/keras/metrics/builtin.h"

namespace tenon::keras::metrics {

namespace {

constexpr int64_t kAllRows[] = {-1};

Endpoint most_likely(GraphBuilder& g, Endpoint y) {
  return g.op("ArgMax", {y, g.scalar<int32_t>(-1)}, {{"output_type", DType::kInt64}});
}

}  // namespace

Endpoint sparse_categorical_accuracy(GraphBuilder& g, Endpoint y_true, Endpoint y_pred,
                                     const Json&) {
  if (!g.status().ok()) return {};
  const PartialShape& shape = g.shape(y_true);
  Endpoint labels = g.cast(y_true, DType::kInt64);
  if (shape.rank() == g.shape(y_pred).rank() && shape[shape.rank() - 1] == 1) {
    labels = g.op("Squeeze", {labels}, {{"squeeze_dims", std::vector<int64_t>{-1}}});
  }
  return g.op("Equal", {labels, most_likely(g, y_pred)});
}

Endpoint sparse_top_k_accuracy(GraphBuilder& g, Endpoint y_true, Endpoint y_pred,
                               const Json& config) {
  if (!g.status().ok()) return {};
  const PartialShape shape = g.shape(y_pred);
  // Keras takes the rows of all positions for one batch.
  const Endpoint labels =
      g.reshape(g.cast(y_true, DType::kInt32), std::span<const int64_t>(kAllRows));
  const Endpoint rows = g.reshape(y_pred, g.integers({-1, shape[shape.rank() - 1]}));
  const auto k = static_cast<int32_t>(config["k"].number().value_or(5));
  const Endpoint hits = g.op("InTopKV2", {g.cast(rows, DType::kFloat), labels, g.scalar(k)});
  const bool column = g.shape(y_true).rank() == shape.rank();
  return shape.rank() == 2 || column ? hits : g.reshape(hits, g.shape_of(y_true));
}

Endpoint top_k_accuracy(GraphBuilder& g, Endpoint y_true, Endpoint y_pred, const Json& config) {
  return sparse_top_k_accuracy(g, most_likely(g, y_true), y_pred, config);
}

Endpoint accuracy(GraphBuilder& g, Endpoint y_true, Endpoint y_pred, const Json&) {
  match_ranks(g, y_true, y_pred);
  return g.op("Equal", {g.cast(y_true, g.dtype(y_pred)), y_pred});
}

Endpoint categorical_accuracy(GraphBuilder& g, Endpoint y_true, Endpoint y_pred, const Json&) {
  return g.op("Equal", {most_likely(g, y_true), most_likely(g, y_pred)});
}

Endpoint binary_accuracy(GraphBuilder& g, Endpoint y_true, Endpoint y_pred, const Json& config) {
  match_ranks(g, y_true, y_pred);
  const double threshold = config["threshold"].number().value_or(0.5);
  const Endpoint above = g.op("Greater", {y_pred, g.scalar_of(g.dtype(y_pred), threshold)});
  return g.op("Equal", {y_true, g.cast(above, g.dtype(y_true))});
}

}  // namespace tenon::keras::metrics
