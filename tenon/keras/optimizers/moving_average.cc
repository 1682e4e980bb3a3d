// Keras' use_ema: moving averages of the weights, kept beside them.
#include "tenon/keras/optimizer.h"

namespace tenon::keras {

void Optimizer::average(Trace& trace, Endpoint updates) const {
  if (!options_.use_ema) return;
  GraphBuilder& g = trace.build();
  const Endpoint is_later = g.op("NotEqual", {updates, g.scalar<int64_t>(0)});
  Endpoint overwrites;
  if (const int64_t each = options_.ema_overwrite_frequency.value_or(0); each > 0) {
    const Endpoint count = g.add(updates, g.scalar<int64_t>(1));
    overwrites = g.op("Equal", {g.op("FloorMod", {count, g.scalar(each)}), g.scalar<int64_t>(0)});
  }
  for (size_t i = 0; i < weights_.size() && g.status().ok(); ++i) {
    const Weight &w = *weights_[i], &kept = state_[averages_at_ + i];
    // The first step's weights are the first average.
    const Endpoint momentum =
        g.mul(g.cast(is_later, w.dtype), g.scalar_of(w.dtype, options_.ema_momentum));
    const Endpoint value = trace.read_stored(w);
    const Endpoint rest = g.sub(g.scalar_of(w.dtype, 1), momentum);
    const Endpoint mean = g.add(g.mul(momentum, trace.read_stored(kept)), g.mul(rest, value));
    trace.assign(kept, mean);
    if (overwrites) trace.assign(w, g.op("SelectV2", {overwrites, mean, value}));
  }
}

Status Optimizer::take_averages() const {
  if (!options_.use_ema) return absl::OkStatus();
  for (size_t i = 0; i < weights_.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(const Tensor mean, state_[averages_at_ + i].variable->read());
    TENON_RETURN_IF_ERROR(weights_[i]->variable->assign(mean.clone()));
  }
  return absl::OkStatus();
}

}  // namespace tenon::keras
