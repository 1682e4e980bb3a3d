// `tenon serve`: tensorflow_model_server's command line from start to end.
#pragma once

#include <span>
#include <string>

#include "tenon/serving/remote/archive_models.h"

namespace tenon::serving {

// Loads the models, opens the ports, and serves until SIGTERM or SIGINT, which lets the requests
// that have begun end (a second signal does not). `arguments` are those after the verb. Returns the
// exit code: 0 served and stopped, 1 could not start, 2 wrong usage. Ops are registered before.
// `unpack` is how archives that are models' base paths are unpacked.
int serve(std::span<const std::string> arguments, const UnpackArchive& unpack);

}  // namespace tenon::serving
