// A SavedModel folder as a Servable: the engine behind the serving path.
#pragma once

#include "tenon/runtime/executable.h"
#include "tenon/serving/servable.h"

namespace tenon::serving {

struct SavedModelOptions {
  std::vector<std::string> tags = {"serve"};
  ExecutableOptions executable;
};

// Loads the model in `folder` and plans every signature, so that no request has to. A signature
// that cannot be planned is logged, and says why when it is asked for.
StatusOr<std::shared_ptr<const Servable>> load_saved_model(const std::string& folder,
                                                           const SavedModelOptions& options);

}  // namespace tenon::serving
