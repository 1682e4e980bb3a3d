// A SavedModel folder as a Servable: the engine behind the serving path.
#pragma once

#include "tenon/observe/metrics.h"
#include "tenon/runtime/executable.h"
#include "tenon/serving/memory/memory_keeper.h"
#include "tenon/serving/servable.h"

namespace tenon::serving {

// What a model meets that misses its golden records.
enum class GoldenMode { kOff, kWarn, kRefuse };

struct SavedModelOptions {
  std::vector<std::string> tags = {"serve"};
  GoldenMode golden = GoldenMode::kWarn;
  ExecutableOptions executable;
  bool prepare = false;  // for requests of one row, so that the first pays no more than others
  MetricRegistry* metrics = &MetricRegistry::global();
  std::shared_ptr<MemoryKeeper> memory;  // null: there is no limit
};

// Loads the model in `folder` and plans every signature, so that no request has to. A signature
// that cannot be planned is logged, and says why when it is asked for. FAILED_PRECONDITION when the
// model's golden records are missed in mode kRefuse; kWarn logs the same sentence.
StatusOr<std::shared_ptr<const Servable>> load_saved_model(const std::string& folder,
                                                           const SavedModelOptions& options);

}  // namespace tenon::serving
