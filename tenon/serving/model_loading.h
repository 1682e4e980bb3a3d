// How the flags want models to be loaded: SavedModels, warmed up and, where requests are to be
// merged, behind queues.
#pragma once

#include "tenon/serving/memory/memory_keeper.h"
#include "tenon/serving/remote/archive_models.h"
#include "tenon/serving/served_models.h"
#include "tenon/serving/server_flags.h"

namespace tenon::serving {

// `memory` is null where there is no --memory_limit; a load for which it has no room is
// RESOURCE_EXHAUSTED. Once `stopping`, which outlives the models, nothing more is fetched for them.
// INVALID_ARGUMENT or NOT_FOUND where the batching parameters that the flags
// name cannot be had.
StatusOr<ServedModelsOptions> model_options_of(const ServerFlags& flags,
                                               const std::shared_ptr<MemoryKeeper>& memory,
                                               const UnpackArchive& unpack,
                                               const std::atomic<bool>& stopping);

}  // namespace tenon::serving
