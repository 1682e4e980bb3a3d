// Any bytes as a `.tflite`: refused, or translated, loaded, and each signature planned, bound and
// run with made-up inputs.

#include <unistd.h>

#include "tenon/base/files.h"
#include "tenon/core/host_memory.h"
#include "tenon/lite/lite.h"
#include "tenon/ops/register_all.h"
#include "tenon/saved_model/other_formats.h"
#include "tests/fuzz/run_signatures.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string path = [] {
    tenon::set_host_memory_limit(size_t{1} << 30);  // half of what libFuzzer lets the process have
    tenon::set_lite_reader(tenon::lite::saved_model_of);
    const bool registered = tenon::register_all_ops(tenon::OpRegistry::global()).ok();
    return registered ? tenon::cat("/dev/shm/tenon-fuzz-", getpid(), ".tflite") : std::string();
  }();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!tenon::write_file(path, bytes).ok()) return 0;
  const auto model = tenon::SavedModel::load(path, {.executable = {}, .warn = false});
  if (!model.ok()) return 0;
  for (const auto& signature : (*model)->signatures()) {
    tenon::run_signature(**model, signature, tenon::seed_of(data, size));
  }
  return 0;
}
