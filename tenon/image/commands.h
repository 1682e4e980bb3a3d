// `tenon image VERB ...`: from words to an exit code.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::image {

// What the command line hands in.
struct CommandContext {
  std::string program;          // path of the running program, for "@tenon"; /proc/self/exe
  std::string program_version;  // "0.1.0"
  std::function<void(std::string_view)> out;  // results, to stdout
  std::function<void(std::string_view)> err;  // progress and errors, to stderr
  // Replays the golden records of a SavedModel's version folder; empty: not possible.
  std::function<Status(const std::string& version_folder)> verify_model;
};

// `words`: what follows "tenon image". Exit codes: 0 done, 1 failed (or differs, or found), 2 wrong
// usage; `scan` adds 3 could not run, 4 data too old, 5 distribution out of support. Errors are one
// line "error: CODE: ..." through `context.err`.
int run_image_command(std::span<const std::string> words, const CommandContext& context);

// The verbs with one line each, for help.
std::string image_usage();

}  // namespace tenon::image
