// Streams, events and captured work of a backend plug-in behind core/device.h.
#pragma once

#include "tenon/runtime/plugin/plugin_abi.h"

namespace tenon {

class PluginEvent final : public Event {
 public:
  PluginEvent(const TenonBackend& backend, void* handle) : backend_(backend), handle_(handle) {}
  ~PluginEvent() override { backend_.destroy_event(handle_); }
  Status synchronize() override;
  void* handle() const { return handle_; }
  // Of the run's other streams, whose failures are the run's too.
  void set_beside(std::vector<std::unique_ptr<Event>> events) { beside_ = std::move(events); }

 private:
  const TenonBackend& backend_;
  void* handle_;
  std::vector<std::unique_ptr<Event>> beside_;
};

class PluginStream final : public Stream {
 public:
  PluginStream(const TenonBackend& backend, void* handle, void* device_handle, Device* device)
      : backend_(backend), handle_(handle), device_handle_(device_handle), device_(device) {}
  ~PluginStream() override;

  Device* device() const override { return device_; }
  void* handle() const { return handle_; }
  Status copy_from_host(void* device_data, const void* host, size_t bytes) override;
  Status copy_to_host(void* host, const void* device_data, size_t bytes) override;
  Status copy(void* destination, const void* source, size_t bytes) override;
  Status record(Event& event) override;
  Status wait(Event& event) override;
  Status synchronize() override;
  void begin_run() override;

  bool capturing() const override { return capturing_; }
  Status begin_capture() override;
  StatusOr<std::unique_ptr<CapturedWork>> end_capture() override;
  Status launch(CapturedWork& work) override;

  StatusOr<Stream*> fork() override;
  Status join() override;

  // The stream for reductions among devices, which start after what is enqueued here so far.
  // end_reduction() is called when one is enqueued there, await_reduction() makes what is enqueued
  // here later wait for it.
  StatusOr<PluginStream*> begin_reduction();
  Status end_reduction(std::string_view instance);
  Status await_reduction(std::string_view instance);

 private:
  // A stream for work beside this one's, made when first asked for.
  struct Side {
    std::unique_ptr<Stream> stream;
    std::unique_ptr<PluginEvent> between;
    bool forked = false;  // since the last join()
    bool used = false;    // in this run, beside what is captured
  };
  struct Reduction {
    std::unique_ptr<PluginEvent> end;
    bool open = false;  // nothing here waits for it yet
  };
  StatusOr<std::unique_ptr<PluginEvent>> make_event();
  Status fork(Side& side);
  Status join(Side& side);

  const TenonBackend& backend_;
  void* handle_;
  void* device_handle_;
  Device* device_;
  bool capturing_ = false;
  Side second_, reducing_;
  std::map<std::string, Reduction, std::less<>> reductions_;  // by instance
};

}  // namespace tenon
