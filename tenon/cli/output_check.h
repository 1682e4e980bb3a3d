// Can what a long computation will write be written? Asked before it begins.
#pragma once

#include "tenon/base/status.h"

namespace tenon::cli {

// A file to be written at `path`, which --`flag` gave: its folder is there and takes files, nothing
// but a file stands under its name, and the disk has `bytes` left. INVALID_ARGUMENT, NOT_FOUND,
// PERMISSION_DENIED or RESOURCE_EXHAUSTED otherwise.
Status check_output_file(std::string_view flag, const std::string& path, uint64_t bytes);

// As check_output_file, for a folder that may not be there yet, nor its parents.
Status check_output_folder(std::string_view flag, const std::string& path, uint64_t bytes);

}  // namespace tenon::cli
