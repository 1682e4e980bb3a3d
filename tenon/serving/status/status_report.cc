#include "tenon/serving/status/status_report.h"

#include "tenon/base/log.h"
#include "tenon/serving/open_inference/open_inference.h"
#include "tenon/serving/status/process_metrics.h"

namespace tenon::serving {
namespace {

// Since the program asked for the first time, which it does when it starts to answer.
int64_t uptime_seconds() {
  static const int64_t start = steady_microseconds();
  return microseconds_since(start) / 1'000'000;
}

std::string quoted(std::string_view text) { return cat("\"", json_escape(text), "\""); }

std::string_view state_name(VersionState state) {
  switch (state) {
    case VersionState::kStart:
      return "START";
    case VersionState::kLoading:
      return "LOADING";
    case VersionState::kAvailable:
      return "AVAILABLE";
    case VersionState::kUnloading:
      return "UNLOADING";
    case VersionState::kEnd:
      return "END";
  }
  return "UNKNOWN";
}

std::string version_json(const VersionStatus& version) {
  return cat("{\"version\": \"", version.version, "\", \"state\": \"", state_name(version.state),
             "\", \"status\": {\"error_code\": \"", code_name(version.status.code()),
             "\", \"error_message\": ", quoted(message_of(version.status)), "}}");
}

std::string model_json(const ModelListing& model) {
  std::vector<std::string> labels, versions;
  for (const auto& [label, version] : model.labels) {
    labels.push_back(cat(quoted(label), ": \"", version, "\""));
  }
  for (const VersionStatus& version : model.versions) versions.push_back(version_json(version));
  return cat("{\"name\": ", quoted(model.name), ", \"labels\": {", join(labels, ", "),
             "}, \"unloaded\": ", model.unloaded, ", \"versions\": [", join(versions, ", "), "]}");
}

std::string models_json(const ServedModels& models) {
  std::vector<std::string> list;
  for (const ModelListing& model : models.list()) list.push_back(model_json(model));
  return cat("[", join(list, ",\n  "), "]");
}

std::string labels_json(const std::vector<std::string>& names,
                        const std::vector<std::string>& values) {
  std::vector<std::string> labels;
  for (size_t i = 0; i < names.size() && i < values.size(); ++i) {
    labels.push_back(cat(quoted(names[i]), ": ", quoted(values[i])));
  }
  return cat("{", join(labels, ", "), "}");
}

template <class Cell>
std::string value_json(const Cell& cell, const BucketLimits&) {
  return cat("\"value\": ", cell.value());
}

std::string value_json(const Histogram& cell, const BucketLimits& limits) {
  std::vector<std::string> buckets;
  const std::vector<int64_t> counts = cell.counts();
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    // The last bucket has no limit: it is drawn at the end of the one before.
    const double limit = limits[std::min(i, limits.size() - 1)];
    buckets.push_back(cat("[", limit, ", ", counts[i], "]"));
  }
  return cat("\"sum\": ", cell.sum(), ", \"buckets\": [", join(buckets, ", "), "]");
}

std::string metrics_json(const MetricRegistry& registry) {
  std::vector<std::string> metrics;
  registry.for_each([&](const std::string& name, const AnyMetric& metric) {
    std::vector<std::string> cells;
    std::visit(
        [&](const auto& family) {
          family->for_each([&](const std::vector<std::string>& values, const auto& cell) {
            cells.push_back(cat("{\"labels\": ", labels_json(family->label_names(), values), ", ",
                                value_json(cell, family->limits()), "}"));
          });
        },
        metric);
    if (!cells.empty()) metrics.push_back(cat(quoted(name), ": [", join(cells, ", "), "]"));
  });
  return cat("{", join(metrics, ",\n  "), "}");
}

}  // namespace

std::string model_list_json(const ServedModels& models) {
  return cat("{\"models\": ", models_json(models), "}\n");
}

std::string server_status_json(const ServedModels& models, const MetricRegistry& registry,
                               bool draining) {
  return cat("{\"server\": \"", kServerName, "\", \"version\": \"", server_version(),
             "\", \"ready\": ", !draining && models.ready(), ", \"draining\": ", draining,
             ", \"uptime_seconds\": ", uptime_seconds(), ", \"resident_bytes\": ", resident_bytes(),
             ",\n \"models\": ", models_json(models), ",\n \"metrics\": ", metrics_json(registry),
             "}\n");
}

}  // namespace tenon::serving
