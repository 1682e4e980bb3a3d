// Any bytes as a saved_model.pb: refused, or loaded, and each signature imported, planned, bound
// and run with made-up inputs.

#include <sys/stat.h>
#include <unistd.h>

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/core/host_memory.h"
#include "tenon/ops/register_all.h"
#include "tests/fuzz/run_signatures.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string folder = [] {
    tenon::set_host_memory_limit(size_t{1} << 30);  // half of what libFuzzer lets the process have
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
      tenon::run_signature(**model, signature, tenon::seed_of(data, size));
    }
  }
  return 0;
}
