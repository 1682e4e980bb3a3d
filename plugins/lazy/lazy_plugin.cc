// The lazy device as a plug-in.
#include <atomic>
#include <cstring>

#include "plugins/lazy/lazy_device.h"
#include "plugins/lazy/lazy_group.h"
#include "plugins/lazy/lazy_kernels.h"

namespace plugin::lazy {
namespace {

// Of graphs, by all devices; for tests.
std::atomic<int64_t> launches{0};

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

TenonStatus* status_of(const Failure& failure) {
  return failure.code == 0 ? nullptr : error(failure.code, failure.message);
}

// What a graph cannot hold. The capture goes on, and fails when it ends.
bool is_refused(Stream& stream, const char* what) {
  const std::shared_ptr<Graph> graph = stream.capturing();
  if (graph) graph->refused = {kFailedPrecondition, std::string("a graph cannot hold ") + what};
  return graph != nullptr;
}

TenonStatus* copy(void* stream, void* to, const void* from, size_t bytes) {
  const Device& device = *stream_of(stream)->device();
  stream_of(stream)->enqueue([&device, to, from, bytes] {
    std::memmove(device.reachable(to), device.reachable(from), bytes);
    return Failure{};
  });
  return nullptr;
}

TenonStatus* copy_to_host(void* stream, void* to, const void* from, size_t bytes) {
  if (is_refused(*stream_of(stream), "a copy to the host")) return nullptr;
  return copy(stream, to, from, bytes);
}

TenonStatus* copy_from_host(void* stream, void* to, const void* host_data, size_t bytes) {
  if (is_refused(*stream_of(stream), "a copy from the host")) return nullptr;
  const Device& device = *stream_of(stream)->device();
  const auto* begin = static_cast<const char*>(host_data);
  stream_of(stream)->enqueue([&device, to, staged = std::vector<char>(begin, begin + bytes)] {
    std::memcpy(device.reachable(to), staged.data(), staged.size());
    return Failure{};
  });
  return nullptr;
}

TenonStatus* synchronize_stream(void* stream) {
  if (is_refused(*stream_of(stream), "a wait of the host")) return nullptr;
  return status_of(stream_of(stream)->synchronize());
}

TenonStatus* create_event(void*, void** event) {
  *event = new Event;
  return nullptr;
}

void destroy_event(void* event) { delete event_of(event); }

TenonStatus* record_event(void* stream, void* event) {
  Stream& of = *stream_of(stream);
  const std::shared_ptr<Graph> graph = of.capturing();
  const uint64_t ticket = graph ? of.noted() : of.last_ticket();
  *event_of(event) = {stream_of(stream), ticket, of.failure_of_run(), graph};
  return nullptr;
}

TenonStatus* wait_event(void* stream, void* event) {
  const Event& point = *event_of(event);
  Stream& waiting = *stream_of(stream);
  if (!point.stream) return nullptr;
  if (point.graph) {
    // A stream that waits for what is captured is captured with it.
    if (waiting.capturing() != point.graph) waiting.capture(point.graph);
    waiting.note_wait(point.stream.get(), point.ticket);
    return nullptr;
  }
  if (is_refused(waiting, "a wait for work outside")) return nullptr;
  waiting.enqueue([point] {
    point.stream->wait_for(point.ticket);
    return Failure{};
  });
  return nullptr;
}

TenonStatus* synchronize_event(void* event) {
  const Event& point = *event_of(event);
  if (!point.stream) return nullptr;
  if (is_refused(*point.stream, "a wait of the host")) return nullptr;
  point.stream->wait_for(point.ticket);
  return status_of(point.stream->failure(*point.failure));
}

void begin_run(void* stream) { stream_of(stream)->begin_run(); }

// --- graphs ---

using GraphHandle = std::shared_ptr<Graph>;

TenonStatus* begin_capture(void* stream) {
  if (stream_of(stream)->capturing()) {
    return error(kFailedPrecondition, "the stream is being captured already");
  }
  const auto graph = std::make_shared<Graph>();
  graph->first = stream_of(stream).get();
  stream_of(stream)->capture(graph);
  return nullptr;
}

TenonStatus* end_capture(void* stream, void** graph) {
  const GraphHandle made = stream_of(stream)->capturing();
  for (Stream* each : made->streams) each->capture(nullptr);
  made->streams.clear();
  if (made->refused.code != 0) return status_of(made->refused);
  if (made->leaves_work()) {
    return error(kFailedPrecondition, "a graph cannot hold work that nothing waits for");
  }
  *graph = new GraphHandle(made);
  return nullptr;
}

TenonStatus* launch_graph(void* stream, void* graph) {
  if (is_refused(*stream_of(stream), "a graph")) return nullptr;
  ++launches;
  stream_of(stream)->enqueue([held = *static_cast<GraphHandle*>(graph)] { return held->run(); });
  return nullptr;
}

void destroy_graph(void* graph) { delete static_cast<GraphHandle*>(graph); }

const TenonBackend kBackend = {
    .struct_size = sizeof(TenonBackend),
    .type = "LAZY",
    .num_devices = 2,
    .open_device = open_device,
    .description = description,
    .memory = memory,
    .allocate = allocate,
    .free_memory = free_memory,
    .create_stream = create_stream,
    .destroy_stream = destroy_stream,
    .copy_from_host = copy_from_host,
    .copy_to_host = copy_to_host,
    .copy = copy,
    .synchronize_stream = synchronize_stream,
    .create_event = create_event,
    .destroy_event = destroy_event,
    .record_event = record_event,
    .wait_event = wait_event,
    .synchronize_event = synchronize_event,
    .begin_run = begin_run,
    .wants_fusion = nullptr,
    .begin_capture = begin_capture,
    .end_capture = end_capture,
    .launch_graph = launch_graph,
    .destroy_graph = destroy_graph,
    .create_group = create_group,
    .all_reduce = all_reduce,
    .abort_group = abort_group,
    .destroy_member = destroy_member,
};

}  // namespace
}  // namespace plugin::lazy

// How many graphs were launched, for tests that look it up in the library.
extern "C" TENON_PLUGIN_EXPORT int64_t lazy_graph_launches() { return plugin::lazy::launches; }

TenonStatus* tenon_open_plugin(const TenonHost* host, const TenonPlugin** plugin) {
  plugin::host = host;
  static const TenonPlugin lazy_plugin = {
      .struct_size = sizeof(TenonPlugin),
      .abi = TENON_PLUGIN_ABI,
      .version = TENON_PLUGIN_VERSION,
      .name = "lazy",
      .ops = nullptr,
      .num_ops = 0,
      .kernels = plugin::lazy::kernels().data(),
      .num_kernels = plugin::lazy::kernels().size(),
      .backend = &plugin::lazy::kBackend,
      .note = nullptr,
  };
  *plugin = &lazy_plugin;
  return nullptr;
}
