#include "tenon/runtime/plugin_test.h"

#include "tenon/base/thread_pool.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/plugin/plugin_host.h"

namespace tenon {

Status register_all_once() {
  static const Status status = []() -> Status {
    ThreadPool::configure(3);
    if (!OpRegistry::global().find("MatMul")) {
      TENON_RETURN_IF_ERROR(register_all_ops(OpRegistry::global()));
    }
    return PluginHost::global().load_from_environment();
  }();
  return status;
}

std::vector<Device*> separate_devices() {
  std::vector<Device*> devices = DeviceRegistry::global().all();
  std::erase_if(devices, [](const Device* device) { return device->host_accessible(); });
  return devices;
}

}  // namespace tenon
