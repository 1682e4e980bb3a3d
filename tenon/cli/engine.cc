#include "tenon/cli/engine.h"

#include "tenon/base/thread_pool.h"
#include "tenon/cli/flags.h"
#include "tenon/lite/lite.h"
#include "tenon/ops/register_all.h"
#include "tenon/prototext/prototext.h"
#include "tenon/runtime/plugin/plugin_host.h"
#include "tenon/saved_model/other_formats.h"

namespace tenon::cli {

Status start_engine(int64_t threads) {
  if (threads < 0 || threads > 4096) {
    return wrong_usage(cat("--threads=", threads, ": expected 0 (all processors) to 4096"));
  }
  ThreadPool::configure(static_cast<int>(threads));
  set_text_format_reader(read_text_message);
  set_lite_reader(lite::saved_model_of);
  TENON_RETURN_IF_ERROR(register_all_ops(OpRegistry::global()));
  TENON_RETURN_IF_ERROR(PluginHost::global().load_from_environment());
  if (const char* name = std::getenv("TENON_DEVICE")) {
    TENON_ASSIGN_OR_RETURN(Device * device, DeviceRegistry::global().find(name));
    DeviceRegistry::global().prefer(device);
  }
  return absl::OkStatus();
}

Status set_virtual_cpus(int64_t count) {
  if (count < 1 || count > 64) {
    return wrong_usage(cat("--virtual_cpus=", count, ": expected 1 to 64"));
  }
  DeviceRegistry::global().set_virtual_cpus(static_cast<int>(count));
  return absl::OkStatus();
}

StatusOr<Precision> parse_precision(std::string_view text) {
  if (text == "f32") return Precision::kFloat32;
  if (text == "bf16") return Precision::kBfloat16;
  return wrong_usage(cat("--precision=", text, ": expected f32 or bf16"));
}

StatusOr<const Signature*> require_signature(const SavedModel& model, std::string_view name) {
  if (const Signature* signature = model.find_signature(name)) return signature;
  std::vector<std::string_view> names;
  for (const Signature& signature : model.signatures()) names.push_back(signature.name);
  return not_found("'", model.folder(), "' has no signature '", name,
                   "'; it has: ", join(names, ", "));
}

std::vector<std::string> parse_tags(std::string_view text) {
  std::vector<std::string> tags;
  for (std::string_view tag : split(text, ',')) {
    if (!trim(tag).empty()) tags.emplace_back(trim(tag));
  }
  return tags;
}

}  // namespace tenon::cli
