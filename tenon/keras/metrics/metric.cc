#include "tenon/keras/metric.h"

namespace tenon::keras {

Status Metric::build(const PartialShape& y_true, const PartialShape& y_pred) {
  StatusOr<std::vector<Sum>> sums = this->sums(y_true, y_pred);
  if (!sums.ok()) return with_context(sums.status(), cat("the metric '", name_, "'"));
  state_.clear();
  for (Sum& sum : *sums) {
    Weight weight;
    weight.name = sum.name;
    weight.path = cat("metrics/", name_, "/", sum.name);
    weight.dtype = sum.dtype;
    weight.shape = std::move(sum.shape);
    weight.kind = WeightKind::kNonTrainable;
    state_.push_back(std::move(weight));
  }
  return absl::OkStatus();
}

void Metric::update(Trace& trace, const Batch& batch) const {
  GraphBuilder& g = trace.build();
  if (!g.status().ok()) return;
  const std::vector<Endpoint> added = addends(g, batch);
  for (size_t i = 0; i < added.size() && g.status().ok(); ++i) {
    Endpoint value = added[i];
    if (trace.replication()) {
      value = g.op("SelectV2", {trace.replication()->present, value, g.zeros_like(value)});
    }
    trace.assign_add(state_[i], value);
  }
}

Endpoint Metric::result(Trace& trace) const {
  std::vector<Endpoint> sums;
  for (const Weight& sum : state_) sums.push_back(trace.read(sum));
  return result(trace.build(), sums);
}

}  // namespace tenon::keras
