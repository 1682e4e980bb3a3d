#include "tenon/saved_model/register_ops_test.h"

#include "tenon/ops/register_all.h"
#include "tenon/runtime/plugin/plugin_host.h"

namespace tenon {
namespace {

Status register_all() {
  TENON_RETURN_IF_ERROR(register_all_ops(OpRegistry::global()));
  return PluginHost::global().load_from_environment();
}

}  // namespace

const Status& register_test_ops() {
  static const Status status = register_all();
  return status;
}

}  // namespace tenon
