// The metrics of one CVSS vector, for the files that score them.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "tenon/base/status.h"

namespace tenon::image {

// Metric to value, as the vector gives them.
using CvssMetrics = std::map<std::string, std::string, std::less<>>;

// A metric, its values separated by blanks; needed or not.
struct MetricRow {
  std::string_view name, values;
  bool required = false;
};

// "AV:N/AC:L/...", with metrics and values of `rows`; INVALID_ARGUMENT for what does not fit.
StatusOr<CvssMetrics> parse_cvss_metrics(std::string_view text, std::span<const MetricRow> rows);

// The metric's value, or `otherwise` where it is missing or not defined.
std::string_view cvss_value(const CvssMetrics& metrics, std::string_view name,
                            std::string_view otherwise = {});

// What follows "CVSS:4.0/".
StatusOr<double> score_cvss4(std::string_view text);

}  // namespace tenon::image
