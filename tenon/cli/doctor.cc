#include <sys/resource.h>

#include <filesystem>
#include <thread>

#include "tenon/base/files.h"
#include "tenon/base/thread_pool.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/verbs.h"
#include "tenon/core/device.h"
#include "tenon/kernels/processor.h"
#include "tenon/net/http.h"
#include "tenon/runtime/plugin/plugin_host.h"

namespace tenon::cli {
namespace {

constexpr Usage kDoctorUsage = {
    .verb = "doctor",
    .what =
        "Checks this machine: instruction set, processors, limits, memory, libraries, driver. "
        "Says what to do about each finding.",
    .example = "tenon doctor"};

struct Finding {
  std::string what;    // "processor"
  std::string found;   // what there is
  std::string advice;  // what to do; empty: nothing
};

Finding processor() {
  std::string description = cpu_device()->description();
  const bool slow = description.find("AVX") == description.npos;
  std::string lacking;
  for (const std::string& level : kernels::missing_instruction_levels()) {
    lacking += (lacking.empty() ? "; without " : ", ") + level;
  }
  return {"processor", description + lacking,
          slow ? "there is no AVX2: kernels run at SSE4.2's speed; use a machine with AVX2" : ""};
}

Finding cores() {
  const int usable = ThreadPool::configured_threads();
  const auto present = static_cast<int>(std::thread::hardware_concurrency());
  return {"cores", cat(usable, " usable"),
          usable < present ? cat("the machine has ", present,
                                 "; the rest is kept from this process (taskset, cgroup)")
                           : ""};
}

Finding memory() {
  const DeviceMemory memory = cpu_device()->memory();
  return {
      "memory", cat(human_bytes(memory.total_bytes), ", ", human_bytes(memory.free_bytes), " free"),
      memory.total_bytes < (uint64_t{1} << 30) ? "less than 1 GB: large models will not load" : ""};
}

std::string limit_text(rlim_t limit) {
  return limit == RLIM_INFINITY ? "unlimited" : cat(uint64_t{limit});
}

Finding open_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return {
      "open files (nofile)", limit_text(limit.rlim_cur),
      limit.rlim_cur < 4096 ? "a server with many connections needs more: ulimit -n 65536" : ""};
}

Finding locked_memory() {
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  return {"locked memory (memlock)", limit_text(limit.rlim_cur), ""};
}

// Does a plug-in bring GPUs?
bool has_gpus() {
  for (const Device* device : DeviceRegistry::global().all()) {
    if (device->type() == "GPU") return true;
  }
  return false;
}

// Where the kernel module says its version. In some containers the file is there and empty.
constexpr char kDriverVersion[] = "/proc/driver/nvidia/version";

std::string nvidia_driver() {
  const StatusOr<std::string> text = read_file(kDriverVersion, 1 << 16);
  if (!text.ok()) return std::string(message_of(text.status()));
  for (const std::string_view line : split(*text, '\n')) {
    if (!line.empty()) return std::string(line);
  }
  return cat("present, of a version that ", kDriverVersion, " does not say");
}

Finding nvidia() {
  if (!path_exists(kDriverVersion)) {
    if (has_gpus()) return {"NVIDIA driver", "present: a plug-in has found GPUs", ""};
    return {"NVIDIA driver", "none",
            "GPUs are not used; for one, install its driver (Debian: nvidia-driver)"};
  }
  return {"NVIDIA driver", nvidia_driver(),
          has_gpus() ? ""
                     : "no CUDA plug-in is in use: models run on the CPU; TENON_PLUGIN_PATH names "
                       "the file cuda.so"};
}

// One finding for each plug-in that TENON_PLUGIN_PATH names.
std::vector<Finding> plug_ins() {
  const Status started = start_engine();
  std::vector<Finding> findings;
  for (const PluginInfo& plugin : PluginHost::global().all()) {
    findings.push_back(
        {"plug-in " + plugin.name,
         plugin.status.ok() ? cat(plugin.path, ": ", plugin.brings)
                            : std::string(message_of(plugin.status)),
         plugin.status.ok() ? plugin.note : "it is not in use until that is put right"});
  }
  if (findings.empty()) {
    findings.push_back(
        {"plug-ins", started.ok() ? "none" : std::string(message_of(started)),
         started.ok() ? "" : "TENON_PLUGIN_PATH and TENON_DEVICE say what to load and use"});
  }
  return findings;
}

Status examine(bool json) {
  std::vector<Finding> plugins = plug_ins();  // loads them
  std::vector<Finding> findings = {processor(),  cores(),         memory(),
                                   open_files(), locked_memory(), nvidia()};
  for (Finding& finding : plugins) findings.push_back(std::move(finding));
  for (const Finding& finding : findings) {
    if (json) {
      print(cat("{\"check\":", json_string(finding.what), ",\"found\":", json_string(finding.found),
                ",\"advice\":", json_string(finding.advice), "}\n"));
      continue;
    }
    std::string left = finding.what + ":";
    left.resize(26, ' ');
    print(cat(left, finding.found, "\n"));
    if (!finding.advice.empty()) print(cat(std::string(26, ' '), "-> ", finding.advice, "\n"));
  }
  return absl::OkStatus();
}

}  // namespace

// Whether the server at `url` answers that it is ready: a health check for images without a shell.
Status ask_ready(std::string url) {
  TENON_ASSIGN_OR_RETURN(const net::Url parsed, net::parse_url(url));
  if (parsed.scheme == "file") return wrong_usage("--ready asks a server by http: or https:");
  if (parsed.path == "/") url = cat(url, url.ends_with('/') ? "" : "/", "readyz");
  net::HttpRequest request;
  request.url = url;
  TENON_ASSIGN_OR_RETURN(const net::HttpResponse response, net::send_http(request));
  if (response.status == 200) return absl::OkStatus();
  return failed_precondition(url, " answers ", response.status, ": ", trim(response.body));
}

int doctor_command(Words words) {
  bool json = false;
  std::string ready;
  const Flag flags[] = {
      {"json", &json, "", "one JSON object a line"},
      {"ready", &ready, "URL", "only asks the server there for /readyz: exit code 0 when ready"}};
  return run_verb(kDoctorUsage, flags, words, [&](const Operands&) {
    return ready.empty() ? examine(json) : ask_ready(ready);
  });
}

}  // namespace tenon::cli
