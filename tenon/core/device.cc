#include "tenon/core/device.h"

namespace tenon {
namespace {

// Device memory for a tensor like `tensor`.
StatusOr<Tensor> allocate_like(const Tensor& tensor, Device& device) {
  TENON_ASSIGN_OR_RETURN(Ref<Buffer> memory, device.allocate(tensor.num_bytes(), false));
  void* data = memory->data();
  return Tensor(tensor.dtype(), tensor.shape(), std::move(memory), data);
}

StatusOr<Tensor> copy_to_host(const Tensor& tensor, Device& from) {
  TENON_ASSIGN_OR_RETURN(Tensor copy, Tensor::allocate(tensor.dtype(), tensor.shape()));
  TENON_ASSIGN_OR_RETURN(const auto stream, from.create_stream());
  TENON_RETURN_IF_ERROR(stream->copy_to_host(copy.mutable_raw(), tensor.raw(), copy.num_bytes()));
  TENON_RETURN_IF_ERROR(stream->synchronize());
  return copy;
}

}  // namespace

StatusOr<Tensor> copy_to(const Tensor& tensor, Stream* stream) {
  Device* from = device_of(tensor);
  Device* to = stream ? stream->device() : nullptr;
  if (!to || is_object(tensor.dtype())) {
    if (from) return copy_to_host(tensor, *from);
    return tensor.clone();
  }
  if (from && from != to) {
    TENON_ASSIGN_OR_RETURN(const Tensor on_host, copy_to_host(tensor, *from));
    return copy_to(on_host, stream);
  }
  TENON_ASSIGN_OR_RETURN(Tensor copy, allocate_like(tensor, *to));
  if (from) {
    TENON_RETURN_IF_ERROR(stream->copy(copy.mutable_raw(), tensor.raw(), copy.num_bytes()));
  } else {
    TENON_RETURN_IF_ERROR(
        stream->copy_from_host(copy.mutable_raw(), tensor.raw(), copy.num_bytes()));
  }
  return copy;
}

Status keep(Tensor& tensor, Stream* stream) {
  if (!tensor.buffer() || !tensor.buffer()->transient()) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(tensor, copy_to(tensor, device_of(tensor) ? stream : nullptr));
  return absl::OkStatus();
}

DeviceRegistry& DeviceRegistry::global() {
  // Never destroyed: what lies in devices' memory may be let go at any time before the process
  // ends.
  static DeviceRegistry& registry = *new DeviceRegistry;
  return registry;
}

std::vector<Device*> DeviceRegistry::all() const {
  std::vector<Device*> devices;
  for (const auto& device : added_) devices.push_back(device.get());
  devices.push_back(cpu_device());
  for (const auto& device : virtual_cpus_) devices.push_back(device.get());
  return devices;
}

void DeviceRegistry::set_virtual_cpus(int count) {
  const auto others = static_cast<size_t>(std::max(1, count) - 1);
  if (virtual_cpus_.size() > others) virtual_cpus_.resize(others);
  while (virtual_cpus_.size() < others) {
    virtual_cpus_.push_back(make_virtual_cpu(static_cast<int>(virtual_cpus_.size()) + 1));
  }
}

StatusOr<Device*> DeviceRegistry::find(std::string_view name) const {
  std::vector<std::string> names;
  for (Device* device : all()) {
    const std::string full = device->name();
    if (name == full || cat("/device:", name) == full || cat("/device:", name, ":0") == full) {
      return device;
    }
    names.push_back(full);
  }
  return not_found("there is no device '", name, "'; there are: ", join(names, ", "));
}

}  // namespace tenon
