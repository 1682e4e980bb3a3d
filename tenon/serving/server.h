// `tenon serve`: tensorflow_model_server's command line from start to end.
#pragma once

#include <span>
#include <string>

namespace tenon::serving {

// Loads the models, opens the ports, and serves until SIGTERM or SIGINT, which lets the requests
// that have begun end (a second signal does not). `arguments` are those after the verb. Returns the
// exit code: 0 served and stopped, 1 could not start, 2 wrong usage. Ops are registered before.
int serve(std::span<const std::string> arguments);

}  // namespace tenon::serving
