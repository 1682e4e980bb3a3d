// Any bytes as a saved_model.pb: refused, or loaded, and each signature imported and planned.

#include <sys/stat.h>
#include <unistd.h>

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/ops/register_all.h"
#include "tenon/saved_model/saved_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string folder = [] {
    const bool registered = tenon::register_all_ops(tenon::OpRegistry::global()).ok();
    const std::string path = tenon::cat("/dev/shm/tenon-fuzz-model-", getpid());
    return registered && tenon::create_directories(path).ok() ? path : std::string();
  }();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!tenon::write_file(tenon::join_path(folder, "saved_model.pb"), bytes).ok()) return 0;
  const auto tags = tenon::SavedModel::tag_sets(folder);
  if (!tags.ok()) return 0;
  for (const auto& set : *tags) {
    const auto model = tenon::SavedModel::load(folder, {.tags = set, .executable = {}});
    if (!model.ok()) continue;
    for (const auto& signature : (*model)->signatures()) {
      (void)(*model)->executable(signature).ok();
    }
  }
  return 0;
}
