// What the system knows of this process, under the names that Prometheus' own clients use.
#pragma once

#include <string>

namespace tenon::serving {

// Lines for the end of a page of metrics: process_cpu_seconds_total, process_open_fds and so on.
// What /proc does not tell is left out.
std::string process_metrics_text();

int64_t resident_bytes();

}  // namespace tenon::serving
