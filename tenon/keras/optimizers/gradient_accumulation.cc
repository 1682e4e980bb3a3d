// Keras' gradient_accumulation_steps: gradients are added up over some steps, the last of which
// makes an update of their mean. What a step computes of a sum that is not complete is not kept.
#include "tenon/keras/optimizer.h"

namespace tenon::keras {

Optimizer::Accumulated Optimizer::accumulate(Trace& trace,
                                             std::vector<WeightGradient>& gradients) const {
  Accumulated accumulated;
  if (!accumulates()) return accumulated;
  GraphBuilder& g = trace.build();
  const int64_t steps = *options_.gradient_accumulation_steps;
  const Endpoint taken = g.add(trace.read(state_[0]), g.scalar<int64_t>(1));
  accumulated.complete =
      g.op("Equal", {g.op("FloorMod", {taken, g.scalar(steps)}), g.scalar<int64_t>(0)});
  accumulated.before = values_of_all(trace);
  accumulated.sums.resize(gradients.size());
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i]) continue;
    Endpoint own = sum_rows(g, gradients[i], *weights_[i]);
    // Each replica has sums of its own; one without rows adds nothing.
    if (trace.replication()) {
      own = g.op("SelectV2", {trace.replication()->present, own, g.zeros_like(own)});
    }
    const Endpoint sum = g.add(own, trace.read(state_[accumulators_at_ + i]));
    accumulated.sums[i] = sum;
    gradients[i] = {g.div(sum, g.scalar_of(g.dtype(sum), static_cast<double>(steps))), {}};
  }
  return accumulated;
}

void Optimizer::settle(Trace& trace, const Accumulated& accumulated) const {
  if (!accumulates() || !trace.build().status().ok()) return;
  GraphBuilder& g = trace.build();
  restore_unless(trace, accumulated.complete, accumulated.before);
  for (size_t i = 0; i < accumulated.sums.size(); ++i) {
    const Endpoint sum = accumulated.sums[i];
    if (!sum) continue;
    trace.assign(state_[accumulators_at_ + i],
                 g.op("SelectV2", {accumulated.complete, g.zeros_like(sum), sum}));
  }
}

}  // namespace tenon::keras
