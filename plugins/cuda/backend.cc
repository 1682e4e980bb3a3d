// The CUDA backend as a plug-in.
#include "plugins/cuda/device.h"
#include "plugins/cuda/driver.h"
#include "plugins/cuda/group.h"
#include "plugins/cuda/kernel.h"

namespace plugin::cuda {
namespace {

Device* device_of(void* handle) { return static_cast<Device*>(handle); }
Stream* stream_of(void* handle) { return static_cast<Stream*>(handle); }
Event* event_of(void* handle) { return static_cast<Event*>(handle); }

TenonStatus* open_device(int32_t ordinal, void** device) {
  Device* opened = nullptr;
  TenonStatus* status = Device::open(ordinal, &opened);
  *device = opened;
  return status;
}

const char* description(void* device) { return device_of(device)->description(); }
void memory(void* device, uint64_t* total_bytes, uint64_t* free_bytes) {
  device_of(device)->memory(total_bytes, free_bytes);
}
TenonStatus* allocate(void* device, size_t bytes, void** memory) {
  return device_of(device)->allocate(bytes, memory);
}
void free_memory(void* device, void* memory) { device_of(device)->free(memory); }

TenonStatus* create_stream(void* device, void** stream) {
  Stream* made = nullptr;
  TenonStatus* status = Stream::create(device_of(device), &made);
  *stream = made;
  return status;
}
void destroy_stream(void* stream) { delete stream_of(stream); }

TenonStatus* copy_from_host(void* stream, void* to, const void* from, size_t bytes) {
  return stream_of(stream)->copy_from_host(to, from, bytes);
}
TenonStatus* copy_to_host(void* stream, void* to, const void* from, size_t bytes) {
  return stream_of(stream)->copy_to_host(to, from, bytes);
}
TenonStatus* copy(void* stream, void* to, const void* from, size_t bytes) {
  stream_of(stream)->device()->use();
  return status_of(
      cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(stream)->enqueue()),
      "a copy on the device");
}
TenonStatus* synchronize_stream(void* stream) { return stream_of(stream)->synchronize(); }

// --- events ---

TenonStatus* create_event(void* device, void** event) {
  device_of(device)->use();
  auto made = std::make_unique<Event>();
  TenonStatus* status = status_of(cudaEventCreateWithFlags(&made->event, cudaEventDisableTiming),
                                  "an event cannot be made");
  if (!status) *event = made.release();
  return status;
}

void destroy_event(void* event) {
  cudaEventDestroy(event_of(event)->event);
  delete event_of(event);
}

TenonStatus* record_event(void* stream, void* event) {
  Stream& of = *stream_of(stream);
  of.device()->use();
  event_of(event)->root = of.capture_root();
  return status_of(cudaEventRecord(event_of(event)->event, of.enqueue()),
                   "an event cannot be recorded");
}

TenonStatus* wait_event(void* stream, void* event) {
  Stream& waiting = *stream_of(stream);
  waiting.device()->use();
  // A stream that waits for what is captured is captured with it.
  if (Stream* root = event_of(event)->root) waiting.join_capture(root);
  return status_of(cudaStreamWaitEvent(waiting.enqueue(), event_of(event)->event, 0),
                   "a stream cannot wait for an event");
}

TenonStatus* synchronize_event(void* event) {
  return status_of(cudaEventSynchronize(event_of(event)->event), "work on the device failed");
}

// --- graphs ---

TenonStatus* begin_capture(void* stream) { return stream_of(stream)->begin_capture(); }

TenonStatus* end_capture(void* stream, void** graph) {
  cudaGraph_t captured = nullptr;
  if (TenonStatus* status = stream_of(stream)->end_capture(&captured)) return status;
  auto made = std::make_unique<Graph>();
  made->device = stream_of(stream)->device();
  TenonStatus* status = status_of(cudaGraphInstantiate(&made->exec, captured, 0),
                                  "captured work cannot be made a graph");
  cudaGraphDestroy(captured);
  if (!status) {
    status = status_of(cudaEventCreateWithFlags(&made->launched, cudaEventDisableTiming),
                       "an event cannot be made");
  }
  if (!status) *graph = made.release();
  return status;
}

TenonStatus* launch_graph(void* stream, void* graph) {
  const Graph& launched = *static_cast<Graph*>(graph);
  launched.device->use();
  const cudaStream_t on = stream_of(stream)->enqueue();
  if (TenonStatus* status =
          status_of(cudaGraphLaunch(launched.exec, on), "a graph cannot be launched")) {
    return status;
  }
  return status_of(cudaEventRecord(launched.launched, on), "an event cannot be recorded");
}

void destroy_graph(void* graph) {
  const std::unique_ptr<Graph> ended(static_cast<Graph*>(graph));
  ended->device->use();
  cudaEventSynchronize(ended->launched);
  cudaGraphExecDestroy(ended->exec);
  cudaEventDestroy(ended->launched);
}

TenonBackend backend = {
    .struct_size = sizeof(TenonBackend),
    .type = "GPU",
    .num_devices = 0,
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
    .begin_run = nullptr,
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
}  // namespace plugin::cuda

TenonStatus* tenon_open_plugin(const TenonHost* host, const TenonPlugin** opened) {
  plugin::host = host;
  int num_devices = 0;
  if (TenonStatus* status = plugin::cuda::check_driver(&num_devices)) return status;
  if (TenonStatus* status = plugin::cuda::open_libraries()) return status;
  plugin::cuda::backend.num_devices = num_devices;
  const char* note = nullptr;
  if (num_devices > 1 && !plugin::cuda::open_nccl().empty()) {
    note = plugin::cuda::open_nccl().c_str();
    plugin::cuda::backend.create_group = nullptr;
    plugin::cuda::backend.all_reduce = nullptr;
    plugin::cuda::backend.abort_group = nullptr;
    plugin::cuda::backend.destroy_member = nullptr;
  }
  static const TenonPlugin cuda_plugin = {
      .struct_size = sizeof(TenonPlugin),
      .abi = TENON_PLUGIN_ABI,
      .version = TENON_PLUGIN_VERSION,
      .name = "cuda",
      .ops = nullptr,
      .num_ops = 0,
      .kernels = plugin::cuda::kernel_rows().data(),
      .num_kernels = plugin::cuda::kernel_rows().size(),
      .backend = &plugin::cuda::backend,
      .note = note,
  };
  *opened = &cuda_plugin;
  return nullptr;
}
