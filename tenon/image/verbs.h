// The verbs behind run_image_command, one function each: 0 or 1 as the exit code, or an error.
// INVALID_ARGUMENT means wrong usage (exit code 2) only when it comes from the arguments: verbs
// wrap their parsing in usage_error().
#pragma once

#include "tenon/image/arguments.h"
#include "tenon/image/commands.h"

namespace tenon::image {

struct Verb {
  std::string_view name;
  std::string_view usage;  // after "tenon image "
  std::string_view purpose;
  StatusOr<int> (*run)(const Arguments&, const CommandContext&);
  std::span<const std::string_view> valued;
  std::span<const std::string_view> switches;
  std::span<const std::string_view> repeated = {};  // of `valued`: may stand more than once
};

// Tables of verbs by file.
std::span<const Verb> build_verbs();     // lock build verify diff vendor
std::span<const Verb> trust_verbs();     // tags lint sbom sign scan
std::span<const Verb> registry_verbs();  // push pull
std::span<const Verb> store_verbs();     // store explain

// Thrown back by verbs for what the user typed: exit code 2.
Status usage_error(std::string_view message);
bool is_usage_error(const Status& status);

// The file or folder that --output names. A usage error without one, and for "-": none of these
// goes to stdout.
StatusOr<std::string> output_path(const Arguments& arguments, std::string_view usage);

// SOURCE_DATE_EPOCH of the environment, -1 when it is not set; INVALID_ARGUMENT when it is no
// number.
StatusOr<int64_t> source_date_epoch();
// "31.42 MB": in units of 1000, as registries and the documentation count.
std::string decimal_bytes(uint64_t bytes);
// The clock; TENON_IMAGE_NOW (seconds since 1970) replaces it in tests.
int64_t current_time();

}  // namespace tenon::image
