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

}  // namespace tenon::keras::metrics
