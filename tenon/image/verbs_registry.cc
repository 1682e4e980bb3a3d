// tenon image push and pull.
#include "tenon/image/registry/registry.h"
#include "tenon/image/verbs.h"

namespace tenon::image {
namespace {

constexpr std::string_view kRegistryFlags[] = {"docker_config", "mount_from", "output",
                                               "chunk_bytes"};
constexpr std::string_view kRegistrySwitches[] = {"tls"};

StatusOr<RegistryOptions> registry_options(const Arguments& arguments) {
  RegistryOptions options;
  options.docker_config = arguments.get("docker_config");
  options.mount_from = arguments.get("mount_from");
  options.force_tls = arguments.has("tls");
  int64_t chunk = static_cast<int64_t>(options.chunk_bytes);
  if (arguments.has("chunk_bytes") &&
      (!parse_number(arguments.get("chunk_bytes"), chunk) || chunk < 1 || chunk > 1 << 28)) {
    return usage_error("--chunk_bytes is a number from 1 to 268435456");
  }
  options.chunk_bytes = static_cast<uint64_t>(chunk);
  return options;
}

constexpr std::string_view kPushUsage =
    "push IMAGE HOST/REPOSITORY:TAG [--mount_from REPOSITORY] [--docker_config FILE] "
    "[--chunk_bytes N] [--tls]";

StatusOr<int> run_push(const Arguments& arguments, const CommandContext& context) {
  const Status words = arguments.expect_positional(2, 2, kPushUsage);
  if (!words.ok()) return usage_error(message_of(words));
  TENON_ASSIGN_OR_RETURN(const auto target, parse_reference(arguments.positional()[1]));
  TENON_ASSIGN_OR_RETURN(const RegistryOptions options, registry_options(arguments));
  TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(arguments.positional()[0]));
  TENON_ASSIGN_OR_RETURN(const TransferReport report, push_image(*reader, target, options));
  context.out(cat("pushed ", report.digest, ": ", report.blobs_sent, " blobs sent (",
                  human_bytes(report.bytes), "), ", report.blobs_present, " were there, ",
                  report.blobs_mounted, " mounted, ", report.resumed, " resumed\n"));
  return 0;
}

constexpr std::string_view kPullUsage =
    "pull HOST/REPOSITORY[:TAG][@DIGEST] --output FILE.tar|DIR/ [--docker_config FILE] [--tls]";

StatusOr<int> run_pull(const Arguments& arguments, const CommandContext& context) {
  const Status words = arguments.expect_positional(1, 1, kPullUsage);
  if (!words.ok()) return usage_error(message_of(words));
  if (!arguments.has("output")) return usage_error(cat("--output is missing; usage: ", kPullUsage));
  TENON_ASSIGN_OR_RETURN(const auto source, parse_reference(arguments.positional()[0]));
  TENON_ASSIGN_OR_RETURN(const RegistryOptions options, registry_options(arguments));
  TENON_ASSIGN_OR_RETURN(const TransferReport report,
                         pull_image(source, arguments.get("output"), options));
  context.out(cat("pulled ", report.digest, ": ", report.blobs_sent, " blobs, ",
                  human_bytes(report.bytes), "\n"));
  return 0;
}

constexpr Verb kRegistryVerbs[] = {
    {"push", kPushUsage, "Sends an image and what is attached to it to a registry.", run_push,
     kRegistryFlags, kRegistrySwitches},
    {"pull", kPullUsage, "Fetches an image and what is attached to it, every digest checked.",
     run_pull, kRegistryFlags, kRegistrySwitches},
};

}  // namespace

std::span<const Verb> registry_verbs() { return kRegistryVerbs; }

}  // namespace tenon::image
