// The files that flags name, read and checked before anything else is done.
#pragma once

#include "tenon/serving/batching/batching_parameters.h"
#include "tenon/serving/server_flags.h"

namespace tenon::serving {

// The text of a configuration file; NOT_FOUND where it is missing.
StatusOr<std::string> read_config_file(const std::string& path);

// What --batching_parameters_file says, or the defaults.
StatusOr<BatchingParameters> batching_parameters_of(const ServerFlags& flags);

// INVALID_ARGUMENT for a file that is no message of its kind, or that says what cannot be: names
// flag, file, line and column. Those that are read for what they say are read again by who needs
// them.
Status check_config_files(const ServerFlags& flags);

}  // namespace tenon::serving
