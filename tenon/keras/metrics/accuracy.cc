#include "tenon/keras/metrics/builtin.h"

namespace tenon::keras::metrics {

namespace {

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
