// tenon image push and pull.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "tenon/image/oci/name.h"
#include "tenon/image/registry/registry.h"
#include "tenon/image/verbs.h"

namespace tenon::image {
namespace {

constexpr std::string_view kPushFlags[] = {"docker_config", "authfile",    "mount_from",
                                           "timeout",       "chunk_bytes", "token_server"};
constexpr std::string_view kPullFlags[] = {"docker_config", "authfile", "output", "timeout",
                                           "token_server"};
constexpr std::string_view kRegistryRepeated[] = {"token_server"};
constexpr std::string_view kRegistrySwitches[] = {"tls"};

// A transfer's progress: on a terminal one line that is written over, else a line every 10 seconds.
class ProgressLines {
 public:
  explicit ProgressLines(const CommandContext& context)
      : context_(context), terminal_(::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLines() {
    if (terminal_ && shown_) context_.err("\r\033[K");
  }

  void show(const TransferProgress& progress) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < (terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10))) {
      return;
    }
    last_ = now;
    shown_ = true;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const std::string text =
        cat(human_bytes(progress.done), " of ", human_bytes(std::max(progress.due, progress.done)),
            ", ", human_bytes(static_cast<uint64_t>(static_cast<double>(progress.done) / seconds)),
            " a second");
    context_.err(terminal_ ? cat("\r\033[K", text) : cat(text, "\n"));
  }

 private:
  const CommandContext& context_;
  const bool terminal_;
  bool shown_ = false;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_ = start_;
};

// --token_server HOST, and those that TENON_TOKEN_SERVERS ("REGISTRY=HOST,...") gives the registry.
std::vector<std::string> token_servers(const Arguments& arguments, const std::string& registry) {
  std::vector<std::string> hosts = arguments.all("token_server");
  const char* pairs = std::getenv("TENON_TOKEN_SERVERS");
  for (std::string_view pair : split(pairs == nullptr ? "" : pairs, ',')) {
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && trim(pair.substr(0, equals)) == registry) {
      hosts.emplace_back(trim(pair.substr(equals + 1)));
    }
  }
  return hosts;
}

// A number flag within bounds.
Status read_number(const Arguments& arguments, std::string_view flag, int64_t least, int64_t most,
                   int64_t& value) {
  if (!arguments.has(flag)) return {};
  if (parse_number(arguments.get(flag), value) && value >= least && value <= most) return {};
  return usage_error(cat("--", flag, " is a number from ", least, " to ", most));
}

StatusOr<RegistryOptions> registry_options(const Arguments& arguments, const std::string& registry,
                                           ProgressLines& lines) {
  RegistryOptions options;
  options.docker_config = arguments.get("authfile", arguments.get("docker_config"));
  options.mount_from = arguments.get("mount_from");
  if (!options.mount_from.empty() && !is_repository_name(options.mount_from)) {
    return usage_error(cat("--mount_from '", options.mount_from, "' is no repository's name"));
  }
  options.force_tls = arguments.has("tls");
  options.token_servers = token_servers(arguments, registry);
  int64_t chunk = static_cast<int64_t>(options.chunk_bytes), timeout = options.timeout;
  TENON_RETURN_IF_ERROR(read_number(arguments, "chunk_bytes", 1, 1 << 28, chunk));
  TENON_RETURN_IF_ERROR(read_number(arguments, "timeout", 1, 86400, timeout));
  options.chunk_bytes = static_cast<uint64_t>(chunk);
  options.timeout = static_cast<int>(timeout);
  options.progress = [&lines](const TransferProgress& progress) { lines.show(progress); };
  return options;
}

constexpr std::string_view kPushUsage =
    "push IMAGE [HOST/]REPOSITORY:TAG [--mount_from REPOSITORY] [--authfile FILE] "
    "[--token_server HOST] [--timeout SECONDS] [--chunk_bytes N] [--tls]";

StatusOr<int> run_push(const Arguments& arguments, const CommandContext& context) {
  const Status words = arguments.expect_positional(2, 2, kPushUsage);
  if (!words.ok()) return usage_error(message_of(words));
  TENON_ASSIGN_OR_RETURN(const auto target, parse_reference(arguments.positional()[1]));
  ProgressLines lines(context);
  TENON_ASSIGN_OR_RETURN(const RegistryOptions options,
                         registry_options(arguments, target.host, lines));
  TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(arguments.positional()[0]));
  TENON_ASSIGN_OR_RETURN(const TransferReport report, push_image(*reader, target, options));
  context.out(cat("pushed ", report.digest, ": ", report.blobs_sent, " blobs sent (",
                  human_bytes(report.bytes), "), ", report.blobs_present, " were there, ",
                  report.blobs_mounted, " mounted, ", report.resumed, " resumed\n"));
  return 0;
}

constexpr std::string_view kPullUsage =
    "pull [HOST/]REPOSITORY[:TAG][@DIGEST] --output FILE.tar|DIR/ [--authfile FILE] "
    "[--token_server HOST] [--timeout SECONDS] [--tls]";

StatusOr<int> run_pull(const Arguments& arguments, const CommandContext& context) {
  const Status words = arguments.expect_positional(1, 1, kPullUsage);
  if (!words.ok()) return usage_error(message_of(words));
  TENON_ASSIGN_OR_RETURN(const std::string output, output_path(arguments, kPullUsage));
  TENON_ASSIGN_OR_RETURN(const auto source, parse_reference(arguments.positional()[0]));
  ProgressLines lines(context);
  TENON_ASSIGN_OR_RETURN(const RegistryOptions options,
                         registry_options(arguments, source.host, lines));
  TENON_ASSIGN_OR_RETURN(const TransferReport report, pull_image(source, output, options));
  context.out(cat("pulled ", report.digest, ": ", report.blobs_sent, " blobs, ",
                  human_bytes(report.bytes), "\n"));
  return 0;
}

constexpr Verb kRegistryVerbs[] = {
    {"push", kPushUsage, "Sends an image and what is attached to it to a registry.", run_push,
     kPushFlags, kRegistrySwitches, kRegistryRepeated},
    {"pull", kPullUsage, "Fetches an image and what is attached to it, every digest checked.",
     run_pull, kPullFlags, kRegistrySwitches, kRegistryRepeated},
};

}  // namespace

std::span<const Verb> registry_verbs() { return kRegistryVerbs; }

}  // namespace tenon::image
