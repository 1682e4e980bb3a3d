// Any bytes as the config.json of a .keras file: refused, or a model that can be written again.

#include "tenon/keras/model.h"
#include "tenon/ops/register_all.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool registered = tenon::register_all_ops(tenon::OpRegistry::global()).ok();
  if (!registered) return 0;
  const auto json = tenon::keras::Json::parse({reinterpret_cast<const char*>(data), size});
  if (!json.ok()) return 0;
  const auto model = tenon::keras::Model::from_json(*json);
  if (!model.ok()) return 0;
  (void)(*model)->to_json().dump();
  (void)(*model)->summary();
  return 0;
}
