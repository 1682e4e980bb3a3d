#include "tenon/saved_model/register_ops_test.h"

#include <cstdlib>

#include "tenon/ops/register_all.h"
#include "tenon/runtime/plugin/plugin_host.h"

namespace tenon {
namespace {

Status register_all() {
  TENON_RETURN_IF_ERROR(register_all_ops(OpRegistry::global()));
  const char* plugins = std::getenv("TENON_PLUGIN_PATH");
  return plugins ? PluginHost::global().load_path(plugins) : absl::OkStatus();
}

}  // namespace

const Status& register_test_ops() {
  static const Status status = register_all();
  return status;
}

}  // namespace tenon
