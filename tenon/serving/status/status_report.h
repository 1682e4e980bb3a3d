// What the server says of itself: the list of models, and the figures that the status page plots.
// Thread-safe.
#pragma once

#include "tenon/observe/metrics.h"
#include "tenon/serving/served_models.h"

namespace tenon::serving {

// {"models": [{"name", "labels", "unloaded", "versions": [{"version", "state", "status"}]}]},
// newest versions first, in the words of the status of one model.
std::string model_list_json(const ServedModels& models);

// {"server", "version", "ready", "uptime_seconds", "resident_bytes", "models", "metrics"}: of each
// metric its cells, a histogram's as [upper limit, observations] of buckets that are not empty.
std::string server_status_json(const ServedModels& models, const MetricRegistry& registry,
                               bool draining);

// The page that shows it (status_page.html): one document that asks for nothing from elsewhere.
std::string_view status_page();

}  // namespace tenon::serving
