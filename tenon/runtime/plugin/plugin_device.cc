// A device of a backend plug-in behind core/device.h.
#include "tenon/runtime/plugin/plugin_abi.h"
#include "tenon/runtime/plugin/plugin_host.h"

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

class PluginEvent final : public Event {
 public:
  PluginEvent(const TenonBackend& backend, void* handle) : backend_(backend), handle_(handle) {}
  ~PluginEvent() override { backend_.destroy_event(handle_); }
  Status synchronize() override {
    Status status = take(backend_.synchronize_event(handle_));
    if (beside_) status.Update(beside_->synchronize());
    return status;
  }
  void* handle() const { return handle_; }
  // Of the run's second stream, whose failures are the run's too.
  void set_beside(std::unique_ptr<Event> event) { beside_ = std::move(event); }

 private:
  const TenonBackend& backend_;
  void* handle_;
  std::unique_ptr<Event> beside_;
};

class PluginGraph final : public CapturedWork {
 public:
  PluginGraph(const TenonBackend& backend, void* handle) : backend_(backend), handle_(handle) {}
  ~PluginGraph() override { backend_.destroy_graph(handle_); }
  void* handle() const { return handle_; }

 private:
  const TenonBackend& backend_;
  void* handle_;
};

class PluginStream final : public Stream {
 public:
  PluginStream(const TenonBackend& backend, void* handle, void* device_handle, Device* device)
      : backend_(backend), handle_(handle), device_handle_(device_handle), device_(device) {}
  ~PluginStream() override {
    second_.reset();
    backend_.destroy_stream(handle_);
  }

  Device* device() const override { return device_; }
  void* handle() const { return handle_; }
  Status copy_from_host(void* device_data, const void* host, size_t bytes) override {
    return bytes == 0 ? absl::OkStatus()
                      : take(backend_.copy_from_host(handle_, device_data, host, bytes));
  }
  Status copy_to_host(void* host, const void* device_data, size_t bytes) override {
    return bytes == 0 ? absl::OkStatus()
                      : take(backend_.copy_to_host(handle_, host, device_data, bytes));
  }
  Status copy(void* destination, const void* source, size_t bytes) override {
    return bytes == 0 ? absl::OkStatus() : take(backend_.copy(handle_, destination, source, bytes));
  }
  Status record(Event& event) override;
  Status wait(Event& event) override {
    return take(backend_.wait_event(handle_, static_cast<PluginEvent&>(event).handle()));
  }
  Status synchronize() override {
    Status status = take(backend_.synchronize_stream(handle_));
    if (second_used_) status.Update(second_->synchronize());
    return status;
  }
  void begin_run() override {
    if (backend_.begin_run) backend_.begin_run(handle_);
    second_used_ = false;
  }

  bool capturing() const override { return capturing_; }
  Status begin_capture() override;
  StatusOr<std::unique_ptr<CapturedWork>> end_capture() override;
  Status launch(CapturedWork& work) override {
    return take(backend_.launch_graph(handle_, static_cast<PluginGraph&>(work).handle()));
  }

  StatusOr<Stream*> fork() override;
  Status join() override;

 private:
  const TenonBackend& backend_;
  void* handle_;
  void* device_handle_;
  Device* device_;
  bool capturing_ = false;
  bool forked_ = false;             // since the last join()
  bool second_used_ = false;        // in this run, beside what is captured
  std::unique_ptr<Stream> second_;  // made when first asked for, with its event
  std::unique_ptr<PluginEvent> between_;
};

Status PluginStream::begin_capture() {
  if (!backend_.begin_capture) return Stream::begin_capture();
  TENON_RETURN_IF_ERROR(take(backend_.begin_capture(handle_)));
  capturing_ = true;
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<CapturedWork>> PluginStream::end_capture() {
  void* graph = nullptr;
  capturing_ = false;
  TENON_RETURN_IF_ERROR(take(backend_.end_capture(handle_, &graph)));
  return std::make_unique<PluginGraph>(backend_, graph);
}

StatusOr<Stream*> PluginStream::fork() {
  if (!second_) {
    TENON_ASSIGN_OR_RETURN(second_, device_->create_stream());
    void* event = nullptr;
    TENON_RETURN_IF_ERROR(take(backend_.create_event(device_handle_, &event)));
    between_ = std::make_unique<PluginEvent>(backend_, event);
  }
  if (!second_used_ && !capturing_) second_->begin_run();
  second_used_ |= !capturing_;
  TENON_RETURN_IF_ERROR(take(backend_.record_event(handle_, between_->handle())));
  TENON_RETURN_IF_ERROR(second_->wait(*between_));
  forked_ = true;
  return second_.get();
}

Status PluginStream::record(Event& event) {
  auto& of_plugin = static_cast<PluginEvent&>(event);
  if (second_used_) {
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Event> beside, device_->create_event());
    TENON_RETURN_IF_ERROR(second_->record(*beside));
    of_plugin.set_beside(std::move(beside));
  } else {
    of_plugin.set_beside(nullptr);
  }
  return take(backend_.record_event(handle_, of_plugin.handle()));
}

Status PluginStream::join() {
  if (!std::exchange(forked_, false)) return absl::OkStatus();
  TENON_RETURN_IF_ERROR(second_->record(*between_));
  return wait(*between_);
}

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
    return !factories(op, attrs).empty();
  }
  StatusOr<Kernel> make_kernel(NodePrepare& prepare) const override {
    auto* self = const_cast<PluginDevice*>(this);
    return make_plugin_kernel(prepare, factories(prepare.op(), prepare.attrs()),
                              {ordinal_, handle_, self});
  }

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
