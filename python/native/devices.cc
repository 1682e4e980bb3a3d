#include "python/native/devices.h"

#include <dlfcn.h>

#include <cstdlib>

#include "tenon/base/files.h"
#include "tenon/runtime/plugin/plugin_host.h"

namespace tenon::python {
namespace {

constexpr std::string_view kTask = "/job:localhost/replica:0/task:0";

struct NamedDevice {
  std::string name;  // as programs see it: "/device:GPU:0" is the first that is visible
  Device* device;
};

// Written under the interpreter's lock; read by threads that place a run too.
struct Devices {
  std::mutex mutex;
  bool loaded = false, used = false;
  Status status;               // why a plug-in that was named is not in use
  std::vector<Device*> found;  // those of plug-ins
  std::vector<NamedDevice> seen;
  Device* chosen = nullptr;  // by TENON_DEVICE
};

Devices& devices() {
  static auto* all = new Devices;
  return *all;
}

// The folder "plugins" beside the extension module.
std::string folder_of_plugins() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&folder_of_plugins), &info) == 0 || !info.dli_fname) return {};
  const std::string_view file = info.dli_fname;
  return join_path(file.substr(0, file.rfind('/')), "plugins");
}

Status load_plugins() {
  if (std::getenv("TENON_PLUGIN_PATH")) return PluginHost::global().load_from_environment();
  const std::string folder = folder_of_plugins();
  return is_directory(folder) ? PluginHost::global().load_path(folder) : absl::OkStatus();
}

// Gives the devices of each type their numbers among those that are seen.
void see_only(Devices& all, const std::vector<Device*>& visible) {
  std::map<std::string, int> counts;
  all.seen.clear();
  for (Device* device : visible) {
    const std::string type = device->type();
    all.seen.push_back({cat("/device:", type, ":", counts[type]++), device});
  }
}

Status load_devices(Devices& all) {
  TENON_RETURN_IF_ERROR(load_plugins());
  DeviceRegistry& registry = DeviceRegistry::global();
  for (Device* device : registry.all()) {
    if (!device->host_accessible()) all.found.push_back(device);
  }
  see_only(all, all.found);
  if (const char* name = std::getenv("TENON_DEVICE")) {
    TENON_ASSIGN_OR_RETURN(all.chosen, registry.find(name));
  }
  return absl::OkStatus();
}

// What was loaded, by whoever comes first. The lock is held.
Devices& loaded_devices(std::unique_lock<std::mutex>& lock) {
  Devices& all = devices();
  lock = std::unique_lock(all.mutex);
  if (!all.loaded) {
    all.loaded = true;
    all.status = load_devices(all);
  }
  check(all.status);
  return all;
}

std::string& scope_name() {
  thread_local std::string name;
  return name;
}

}  // namespace

void stay_on_the_processor() { DeviceRegistry::global().prefer(cpu_device()); }

Device* default_device() {
  std::unique_lock<std::mutex> lock;
  Devices& all = loaded_devices(lock);
  if (all.seen.empty()) return cpu_device();
  all.used = true;
  if (!all.chosen) return all.seen.front().device;
  const auto is_seen = [&](const NamedDevice& each) { return each.device == all.chosen; };
  return std::any_of(all.seen.begin(), all.seen.end(), is_seen) ? all.chosen : cpu_device();
}

Device* device_of_name(std::string_view name) {
  if (name.empty()) return nullptr;
  if (name.starts_with("/device:CPU:")) return cpu_device();
  std::unique_lock<std::mutex> lock;
  Devices& all = loaded_devices(lock);
  for (const NamedDevice& each : all.seen) {
    if (each.name != name) continue;
    all.used = true;
    return each.device;
  }
  return nullptr;
}

const std::string& placed_name() { return scope_name(); }

Device* placed_device() { return device_of_name(scope_name()); }

std::string full_name_of(Device* device) {
  if (device) {
    std::unique_lock<std::mutex> lock;
    for (const NamedDevice& each : loaded_devices(lock).seen) {
      if (each.device == device) return cat(kTask, each.name);
    }
  }
  return cat(kTask, "/device:CPU:0");
}

Tensor on_host(const Tensor& tensor) {
  if (!device_of(tensor)) return tensor;
  const nb::gil_scoped_release released;
  return value_of(copy_to(tensor, nullptr));
}

Tensor on_device(const Tensor& tensor, Device* device) {
  if (is_object(tensor.dtype()) || device_of(tensor) == device) return tensor;
  if (device->host_accessible()) return on_host(tensor);
  const nb::gil_scoped_release released;
  const auto stream = value_of(device->create_stream());
  Tensor copy = value_of(copy_to(tensor, stream.get()));
  check(stream->synchronize());
  return copy;
}

void register_devices(nb::module_& m) {
  m.def(
      "plugin_devices",
      [] {
        std::unique_lock<std::mutex> lock;
        nb::list list;
        for (Device* device : loaded_devices(lock).found) {
          list.append(nb::make_tuple(device->type(), device->description()));
        }
        return list;
      },
      "Type and description of each device that plug-ins bring, which are loaded now.");
  m.def(
      "see_devices",
      [](const std::vector<size_t>& indices) {
        std::unique_lock<std::mutex> lock;
        Devices& all = loaded_devices(lock);
        std::vector<Device*> visible;
        for (size_t index : indices) visible.push_back(all.found.at(index));
        see_only(all, visible);
      },
      "Which of plugin_devices() programs see, in their order.");
  m.def(
      "devices_used",
      [] {
        std::unique_lock<std::mutex> lock;
        return loaded_devices(lock).used;
      },
      "Whether anything was placed on a plug-in's device.");
  m.def("default_device_type", [] { return default_device()->type(); });
  m.def("device_is_there", [](const std::string& name) { return device_of_name(name) != nullptr; });
  m.def(
      "enter_device", [](std::string name) { return std::exchange(scope_name(), std::move(name)); },
      "Where this thread's ops are placed from now on; empty: nobody says. Returns what it was.");
  m.def("placed_name", [] { return scope_name(); });
  m.def(
      "placed",
      [](nb::handle object) {
        const Value* value = value_if(object);
        Device* device = value && !value->symbolic() ? placed_device() : nullptr;
        // As in TensorFlow, which counts in host memory.
        if (!device || value->dtype() == DType::kInt32) return nb::borrow(object);
        Tensor moved = on_device(value->tensor, device);
        if (moved.raw() == value->tensor.raw()) return nb::borrow(object);
        return wrap(Value(std::move(moved)));
      },
      "The tensor where the innermost tf.device wants what is made.");
}

}  // namespace tenon::python
