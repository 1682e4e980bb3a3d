// The lazy device as a plug-in.
#include <cstring>

#include "plugins/lazy/lazy_device.h"
#include "plugins/lazy/lazy_kernels.h"

namespace lazy {
namespace {

constexpr int32_t kResourceExhausted = 8;

using StreamHandle = std::shared_ptr<Stream>;

Device* device_of(void* handle) { return static_cast<Device*>(handle); }
StreamHandle& stream_of(void* handle) { return *static_cast<StreamHandle*>(handle); }
Event* event_of(void* handle) { return static_cast<Event*>(handle); }

TenonStatus* open_device(int32_t, void** device) {
  *device = new Device;
  return nullptr;
}

const char* description(void*) { return "a device that does its work late, for tests"; }

void memory(void* device, uint64_t* total_bytes, uint64_t* free_bytes) {
  *total_bytes = device_of(device)->total_bytes();
  *free_bytes = *total_bytes - device_of(device)->used_bytes();
}

TenonStatus* allocate(void* device, size_t bytes, void** memory) {
  *memory = device_of(device)->allocate(bytes);
  return *memory ? nullptr : error(kResourceExhausted, "the device's memory is full");
}

void free_memory(void* device, void* memory) { device_of(device)->free(memory); }

TenonStatus* create_stream(void* device, void** stream) {
  *stream = new StreamHandle(std::make_shared<Stream>(device_of(device)));
  return nullptr;
}

void destroy_stream(void* stream) {
  stream_of(stream)->synchronize();
  delete &stream_of(stream);
}

TenonStatus* enqueue_copy(void* stream, void* to, const void* from, size_t bytes) {
  const Device& device = *stream_of(stream)->device();
  stream_of(stream)->enqueue([&device, to, from, bytes] {
    std::memmove(device.reachable(to), device.reachable(from), bytes);
    return Failure{};
  });
  return nullptr;
}

TenonStatus* copy_from_host(void* stream, void* to, const void* host_data, size_t bytes) {
  const Device& device = *stream_of(stream)->device();
  const auto* begin = static_cast<const char*>(host_data);
  stream_of(stream)->enqueue([&device, to, staged = std::vector<char>(begin, begin + bytes)] {
    std::memcpy(device.reachable(to), staged.data(), staged.size());
    return Failure{};
  });
  return nullptr;
}

TenonStatus* synchronize_stream(void* stream) {
  const Failure failure = stream_of(stream)->synchronize();
  return failure.code == 0 ? nullptr : error(failure.code, failure.message.c_str());
}

TenonStatus* create_event(void*, void** event) {
  *event = new Event;
  return nullptr;
}

void destroy_event(void* event) { delete event_of(event); }

TenonStatus* record_event(void* stream, void* event) {
  *event_of(event) = {stream_of(stream), stream_of(stream)->last_ticket()};
  return nullptr;
}

TenonStatus* wait_event(void* stream, void* event) {
  if (!event_of(event)->stream) return nullptr;
  stream_of(stream)->enqueue([point = *event_of(event)] {
    point.stream->wait_for(point.ticket);
    return Failure{};
  });
  return nullptr;
}

TenonStatus* synchronize_event(void* event) {
  if (event_of(event)->stream) event_of(event)->stream->wait_for(event_of(event)->ticket);
  return nullptr;
}

const TenonBackend kBackend = {
    .struct_size = sizeof(TenonBackend),
    .type = "LAZY",
    .num_devices = 1,
    .open_device = open_device,
    .description = description,
    .memory = memory,
    .allocate = allocate,
    .free_memory = free_memory,
    .create_stream = create_stream,
    .destroy_stream = destroy_stream,
    .copy_from_host = copy_from_host,
    .copy_to_host = enqueue_copy,
    .copy = enqueue_copy,
    .synchronize_stream = synchronize_stream,
    .create_event = create_event,
    .destroy_event = destroy_event,
    .record_event = record_event,
    .wait_event = wait_event,
    .synchronize_event = synchronize_event,
};

}  // namespace
}  // namespace lazy

TenonStatus* tenon_open_plugin(const TenonHost* host, const TenonPlugin** plugin) {
  lazy::host = host;
  static const TenonPlugin lazy_plugin = {
      .struct_size = sizeof(TenonPlugin),
      .abi = TENON_PLUGIN_ABI,
      .version = TENON_PLUGIN_VERSION,
      .name = "lazy",
      .ops = nullptr,
      .num_ops = 0,
      .kernels = lazy::kernels().data(),
      .num_kernels = lazy::kernels().size(),
      .backend = &lazy::kBackend,
  };
  *plugin = &lazy_plugin;
  return nullptr;
}
