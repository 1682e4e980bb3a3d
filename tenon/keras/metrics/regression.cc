#include "tenon/keras/losses/builtin.h"
#include "tenon/keras/metrics/builtin.h"

namespace tenon::keras {

Endpoint metrics::cosine_similarity(GraphBuilder& g, Endpoint y_true, Endpoint y_pred,
                                    const Json&) {
  const auto [target, output] = losses::standardize(g, y_true, y_pred);
  return losses::cosine(g, target, output);
}

Endpoint metrics::log_cosh(GraphBuilder& g, Endpoint y_true, Endpoint y_pred, const Json&) {
  return LogCosh()->values(g, y_true, y_pred);
}

}  // namespace tenon::keras
