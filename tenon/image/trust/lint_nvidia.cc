// What an image must hold, and must not, for NVIDIA's Container Toolkit to give it a GPU.
#include <algorithm>
#include <array>

#include "tenon/image/trust/lint.h"

namespace tenon::image {
namespace {

constexpr std::array<std::string_view, 5> kCudaLibraries = {"libcudart.so", "libcublas", "libcudnn",
                                                            "libnccl.so", "libnvrtc"};
// Brought by the driver, and mounted by the toolkit: one in the image hides that none is there.
constexpr std::array<std::string_view, 4> kDriverLibraries = {
    "libcuda.so.", "libnvidia-ml.so.", "libnvidia-ptxjitcompiler.so.", "libcudadebugger.so."};
constexpr std::array<std::string_view, 8> kCapabilities = {
    "compute", "compat32", "graphics", "utility", "video", "display", "ngx", "all"};
// Longest first.
constexpr std::array<std::string_view, 6> kOperators = {"!=", "<=", ">=", "=", "<", ">"};

bool begins_with_one(std::string_view name, std::span<const std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string_view beginning) { return name.starts_with(beginning); });
}

bool is_version(std::string_view text) {
  const auto parts = split(text, '.');
  return std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
    return !part.empty() &&
           std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
  });
}

// Why the toolkit would refuse or pass over the term `term` of a constraint; empty: it would not.
std::string fault_of_term(std::string_view term) {
  const size_t at = term.find_first_of("!<>=");
  if (at == std::string_view::npos) return "has no operator";
  const std::string_view property = term.substr(0, at), rest = term.substr(at);
  const auto* found = std::find_if(kOperators.begin(), kOperators.end(),
                                   [&](std::string_view op) { return rest.starts_with(op); });
  if (found == kOperators.end()) return "has no operator";
  const std::string_view value = rest.substr(found->size());
  if (value.empty()) return "has no value";
  if (property == "brand") return {};
  if (property != "cuda" && property != "driver" && property != "arch") {
    return "is of none of cuda, driver, arch and brand";
  }
  return is_version(value) ? "" : "compares with no version";
}

void judge_constraints(const std::string& name, const std::string& text,
                       std::vector<LintFinding>& findings) {
  for (std::string_view alternative : split(text, ' ')) {
    if (alternative.empty()) continue;
    for (std::string_view term : split(alternative, ',')) {
      const std::string fault = fault_of_term(term);
      if (fault.empty()) continue;
      findings.push_back({"nvidia", cat(name, ": '", term, "' ", fault)});
    }
  }
}

void judge_capabilities(const std::string& text, std::vector<LintFinding>& findings) {
  const auto words = split(text, ',');
  const auto has = [&](std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  for (std::string_view word : words) {
    if (word.empty()) continue;
    if (std::find(kCapabilities.begin(), kCapabilities.end(), word) == kCapabilities.end()) {
      findings.push_back({"nvidia", cat("NVIDIA_DRIVER_CAPABILITIES: there is no '", word, "'")});
    }
  }
  // Without the variable the toolkit takes these two.
  if (text.empty() || has("all") || (has("compute") && has("utility"))) return;
  findings.push_back({"nvidia", cat("NVIDIA_DRIVER_CAPABILITIES is '", text,
                                    "': CUDA needs compute, nvidia-smi utility")});
}

bool is_true(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "TRUE", "true", "True"};
  return std::find(kTrue.begin(), kTrue.end(), text) != kTrue.end();
}

}  // namespace

void NvidiaContract::see(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (begins_with_one(name, kCudaLibraries)) has_cuda_ = true;
  if (begins_with_one(name, kDriverLibraries)) drivers_.emplace_back(path);
}

void NvidiaContract::judge(const std::map<std::string, std::string>& environment,
                           std::vector<LintFinding>& findings) const {
  const auto value_of = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  const bool asks = std::any_of(environment.begin(), environment.end(), [](const auto& variable) {
    return variable.first.starts_with("NVIDIA_");
  });
  if (!asks && !has_cuda_) return;
  const std::string devices = value_of("NVIDIA_VISIBLE_DEVICES");
  if (devices.empty() || devices == "void" || devices == "none") {
    findings.push_back({"nvidia", cat("NVIDIA_VISIBLE_DEVICES is '", devices,
                                      "': the image is given no GPU; set it to all")});
  }
  judge_capabilities(value_of("NVIDIA_DRIVER_CAPABILITIES"), findings);
  if (!environment.contains("NVIDIA_REQUIRE_CUDA")) {
    findings.push_back(
        {"nvidia",
         "NVIDIA_REQUIRE_CUDA is missing: a host with too old a driver starts the image"});
  }
  for (const auto& [name, value] : environment) {
    if (name.starts_with("NVIDIA_REQUIRE_") && !name.starts_with("NVIDIA_REQUIRE_JETPACK")) {
      judge_constraints(name, value, findings);
    }
  }
  if (is_true(value_of("NVIDIA_DISABLE_REQUIRE"))) {
    findings.push_back({"nvidia", "NVIDIA_DISABLE_REQUIRE switches NVIDIA_REQUIRE_CUDA off"});
  }
  for (const std::string& path : drivers_) {
    findings.push_back({"nvidia", cat("/", path, " belongs to the host's driver, and one in the ",
                                      "image hides that it is missing")});
  }
}

}  // namespace tenon::image
