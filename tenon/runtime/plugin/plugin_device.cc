// A device of a backend plug-in behind core/device.h.
#include "tenon/runtime/plugin/plugin_group.h"
#include "tenon/runtime/plugin/plugin_host.h"
#include "tenon/runtime/plugin/plugin_stream.h"

namespace tenon {
namespace {

class PluginBuffer final : public Buffer {
 public:
  PluginBuffer(const TenonBackend& backend, void* handle, Device* device, void* data, size_t bytes,
               bool transient)
      : Buffer(data, bytes, device, transient), backend_(backend), handle_(handle) {}
  ~PluginBuffer() override { backend_.free_memory(handle_, data()); }

 private:
  const TenonBackend& backend_;
  void* handle_;
};

class PluginDevice final : public Device {
 public:
  PluginDevice(const TenonBackend& backend, int ordinal, void* handle)
      : backend_(backend), ordinal_(ordinal), handle_(handle) {}

  std::string name() const override { return cat("/device:", backend_.type, ":", ordinal_); }
  std::string type() const override { return backend_.type; }
  std::string description() const override { return backend_.description(handle_); }
  DeviceMemory memory() const override {
    DeviceMemory memory;
    backend_.memory(handle_, &memory.total_bytes, &memory.free_bytes);
    return memory;
  }
  bool host_accessible() const override { return false; }
  bool captures() const override { return backend_.begin_capture != nullptr; }
  bool wants_fusion(std::string_view op) const override {
    if (backend_.wants_fusion) return backend_.wants_fusion(handle_, std::string(op).c_str());
    return !PluginHost::global().kernels(op, backend_.type).empty();
  }

  StatusOr<Ref<Buffer>> allocate(size_t bytes, bool transient) override {
    void* data = nullptr;
    const size_t wanted = std::max<size_t>(bytes, 1);
    if (Status status = take(backend_.allocate(handle_, wanted, &data)); !status.ok()) {
      return with_context(status, name());
    }
    return Ref<Buffer>(make_ref<PluginBuffer>(backend_, handle_, this, data, bytes, transient));
  }
  StatusOr<std::unique_ptr<Stream>> create_stream() override {
    void* stream = nullptr;
    TENON_RETURN_IF_ERROR(take(backend_.create_stream(handle_, &stream)));
    return std::make_unique<PluginStream>(backend_, stream, handle_, this);
  }
  StatusOr<std::unique_ptr<Event>> create_event() override {
    void* event = nullptr;
    TENON_RETURN_IF_ERROR(take(backend_.create_event(handle_, &event)));
    return std::make_unique<PluginEvent>(backend_, event);
  }

  bool implements(const OpDef& op, const AttrMap& attrs) const override {
    return (backend_.create_group && is_device_reduction(op)) || !factories(op, attrs).empty();
  }
  StatusOr<Kernel> make_kernel(NodePrepare& prepare) const override {
    if (is_device_reduction(prepare.op())) return make_device_reduction(prepare);
    auto* self = const_cast<PluginDevice*>(this);
    return make_plugin_kernel(prepare, factories(prepare.op(), prepare.attrs()),
                              {ordinal_, handle_, self});
  }

  const TenonBackend& backend() const { return backend_; }
  void* handle() const { return handle_; }

 private:
  std::vector<const TenonKernelFactory*> factories(const OpDef& op, const AttrMap& attrs) const {
    std::vector<const TenonKernelFactory*> found =
        PluginHost::global().kernels(op.name(), backend_.type);
    std::erase_if(found, [&](const TenonKernelFactory* each) { return !accepts(*each, attrs); });
    return found;
  }

  const TenonBackend& backend_;
  const int ordinal_;
  void* const handle_;
};

}  // namespace

StatusOr<std::vector<Ref<DeviceCommunicator>>> open_device_group(std::span<Device* const> devices) {
  const TenonBackend* backend = nullptr;
  std::vector<void*> handles;
  for (const Device* device : devices) {
    const auto* of_plugin = dynamic_cast<const PluginDevice*>(device);
    if (!of_plugin || (backend && backend != &of_plugin->backend())) {
      return std::vector<Ref<DeviceCommunicator>>();
    }
    backend = &of_plugin->backend();
    handles.push_back(of_plugin->handle());
  }
  if (!backend || !backend->create_group) return std::vector<Ref<DeviceCommunicator>>();
  return open_plugin_group(*backend, devices, handles);
}

void* backend_stream(Stream* stream) {
  const auto* plugin_stream = dynamic_cast<PluginStream*>(stream);
  return plugin_stream ? plugin_stream->handle() : nullptr;
}

StatusOr<std::unique_ptr<Device>> open_plugin_device(const TenonBackend& backend, int ordinal) {
  void* handle = nullptr;
  TENON_RETURN_IF_ERROR(take(backend.open_device(ordinal, &handle)));
  return std::make_unique<PluginDevice>(backend, ordinal, handle);
}

}  // namespace tenon
