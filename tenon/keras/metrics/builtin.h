// The functions behind the rows of metrics/table.cc: values from targets and predictions.
#pragma once

#include "tenon/keras/metric.h"

namespace tenon::keras::metrics {

Endpoint sparse_categorical_accuracy(GraphBuilder& build, Endpoint y_true, Endpoint y_pred,
                                     const Json& config);
Endpoint categorical_accuracy(GraphBuilder& build, Endpoint y_true, Endpoint y_pred,
                              const Json& config);
// config: threshold, 0.5 when absent.
Endpoint binary_accuracy(GraphBuilder& build, Endpoint y_true, Endpoint y_pred, const Json& config);

// config: k, 5 when absent.
Endpoint sparse_top_k_accuracy(GraphBuilder& build, Endpoint y_true, Endpoint y_pred,
                               const Json& config);
Endpoint top_k_accuracy(GraphBuilder& build, Endpoint y_true, Endpoint y_pred, const Json& config);
Endpoint accuracy(GraphBuilder& build, Endpoint y_true, Endpoint y_pred, const Json& config);
// Of the angle; the loss is minus it.
Endpoint cosine_similarity(GraphBuilder& build, Endpoint y_true, Endpoint y_pred,
                           const Json& config);
Endpoint log_cosh(GraphBuilder& build, Endpoint y_true, Endpoint y_pred, const Json& config);

}  // namespace tenon::keras::metrics
