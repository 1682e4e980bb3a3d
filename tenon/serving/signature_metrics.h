// SignatureMetrics: the predictions of one loaded version, counted by signature. Shown while the
// version is loaded, each signature from its first request on, so that the page is as long as what
// is served and asked for. Thread-safe.
#pragma once

#include <array>
#include <mutex>
#include <vector>

#include "tenon/base/status.h"
#include "tenon/observe/metrics.h"

namespace tenon::serving {

class SignatureMetrics {
 public:
  // `registry` outlives it.
  SignatureMetrics(MetricRegistry& registry, std::string_view model, int64_t version,
                   std::vector<std::string> signatures);

  // A run of the signature of that index that took so long, its wait for a turn or a batch
  // included.
  void count_success(size_t signature, int64_t microseconds) const;
  void count_failure(size_t signature, absl::StatusCode code) const;

  static void declare(MetricRegistry& registry);

 private:
  static constexpr size_t kCodes = 17;  // of absl::StatusCode
  struct Cells {
    std::once_flag succeeded;
    std::shared_ptr<Counter> ok;
    std::shared_ptr<Histogram> runtime;
    std::mutex mutex;  // guards what follows
    std::array<std::shared_ptr<Counter>, kCodes> failures;
  };

  MetricRegistry& registry_;
  const std::string model_;
  const std::string version_;
  const std::vector<std::string> names_;
  const std::unique_ptr<Cells[]> cells_;  // one a signature
};

}  // namespace tenon::serving
