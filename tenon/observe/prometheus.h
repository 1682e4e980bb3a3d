// Prometheus' text format, laid out byte for byte as TensorFlow Serving's exporter does
// (tensorflow_serving/util/prometheus_exporter.cc): only TYPE lines, metrics in order of name.
#pragma once

#include <string>

#include "tenon/observe/metrics.h"

namespace tenon {

// The page of all metrics of `registry`, to be sent as text/plain.
std::string prometheus_text(const MetricRegistry& registry);

// "/tensorflow/serving/request_count" as ":tensorflow:serving:request_count".
std::string prometheus_name(std::string_view name);

}  // namespace tenon
