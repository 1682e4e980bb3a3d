#include "tenon/runtime/plugin/plugin_stream.h"

namespace tenon {
namespace {

class PluginGraph final : public CapturedWork {
 public:
  PluginGraph(const TenonBackend& backend, void* handle) : backend_(backend), handle_(handle) {}
  ~PluginGraph() override { backend_.destroy_graph(handle_); }
  void* handle() const { return handle_; }

 private:
  const TenonBackend& backend_;
  void* handle_;
};

}  // namespace

Status PluginEvent::synchronize() {
  Status status = take(backend_.synchronize_event(handle_));
  for (const auto& event : beside_) status.Update(event->synchronize());
  return status;
}

PluginStream::~PluginStream() {
  second_.stream.reset();
  reducing_.stream.reset();
  backend_.destroy_stream(handle_);
}

Status PluginStream::copy_from_host(void* device_data, const void* host, size_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  return take(backend_.copy_from_host(handle_, device_data, host, bytes));
}

Status PluginStream::copy_to_host(void* host, const void* device_data, size_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  return take(backend_.copy_to_host(handle_, host, device_data, bytes));
}

Status PluginStream::copy(void* destination, const void* source, size_t bytes) {
  return bytes == 0 ? absl::OkStatus() : take(backend_.copy(handle_, destination, source, bytes));
}

Status PluginStream::wait(Event& event) {
  return take(backend_.wait_event(handle_, static_cast<PluginEvent&>(event).handle()));
}

Status PluginStream::synchronize() {
  Status status = take(backend_.synchronize_stream(handle_));
  for (const Side* side : {&second_, &reducing_}) {
    if (side->used) status.Update(side->stream->synchronize());
  }
  return status;
}

void PluginStream::begin_run() {
  if (backend_.begin_run) backend_.begin_run(handle_);
  for (Side* side : {&second_, &reducing_}) side->used = side->forked = false;
  for (auto& [instance, reduction] : reductions_) reduction.open = false;
}

Status PluginStream::begin_capture() {
  if (!backend_.begin_capture) return Stream::begin_capture();
  TENON_RETURN_IF_ERROR(take(backend_.begin_capture(handle_)));
  capturing_ = true;
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<CapturedWork>> PluginStream::end_capture() {
  void* graph = nullptr;
  capturing_ = false;
  // Where it failed, what was forked off has ended with it.
  for (Side* side : {&second_, &reducing_}) side->forked = false;
  for (auto& [instance, reduction] : reductions_) reduction.open = false;
  TENON_RETURN_IF_ERROR(take(backend_.end_capture(handle_, &graph)));
  return std::make_unique<PluginGraph>(backend_, graph);
}

Status PluginStream::launch(CapturedWork& work) {
  return take(backend_.launch_graph(handle_, static_cast<PluginGraph&>(work).handle()));
}

StatusOr<std::unique_ptr<PluginEvent>> PluginStream::make_event() {
  void* event = nullptr;
  TENON_RETURN_IF_ERROR(take(backend_.create_event(device_handle_, &event)));
  return std::make_unique<PluginEvent>(backend_, event);
}

Status PluginStream::fork(Side& side) {
  if (!side.stream) {
    TENON_ASSIGN_OR_RETURN(side.between, make_event());
    TENON_ASSIGN_OR_RETURN(side.stream, device_->create_stream());
  }
  if (!side.used && !capturing_) side.stream->begin_run();
  side.used |= !capturing_;
  TENON_RETURN_IF_ERROR(take(backend_.record_event(handle_, side.between->handle())));
  TENON_RETURN_IF_ERROR(side.stream->wait(*side.between));
  side.forked = true;
  return absl::OkStatus();
}

Status PluginStream::join(Side& side) {
  if (!std::exchange(side.forked, false)) return absl::OkStatus();
  TENON_RETURN_IF_ERROR(side.stream->record(*side.between));
  return wait(*side.between);
}

StatusOr<Stream*> PluginStream::fork() {
  TENON_RETURN_IF_ERROR(fork(second_));
  return second_.stream.get();
}

Status PluginStream::join() {
  TENON_RETURN_IF_ERROR(join(second_));
  TENON_RETURN_IF_ERROR(join(reducing_));
  for (auto& [instance, reduction] : reductions_) reduction.open = false;
  return absl::OkStatus();
}

StatusOr<PluginStream*> PluginStream::begin_reduction() {
  // What the second stream still computes may be what is reduced.
  TENON_RETURN_IF_ERROR(join(second_));
  TENON_RETURN_IF_ERROR(fork(reducing_));
  return static_cast<PluginStream*>(reducing_.stream.get());
}

Status PluginStream::end_reduction(std::string_view instance) {
  Reduction& reduction = reductions_[std::string(instance)];
  if (!reduction.end) {
    TENON_ASSIGN_OR_RETURN(reduction.end, make_event());
  }
  reduction.open = true;
  return reducing_.stream->record(*reduction.end);
}

Status PluginStream::await_reduction(std::string_view instance) {
  const auto it = reductions_.find(instance);
  if (it == reductions_.end()) return internal("the reduction '", instance, "' was not begun");
  return std::exchange(it->second.open, false) ? wait(*it->second.end) : absl::OkStatus();
}

Status PluginStream::record(Event& event) {
  auto& of_plugin = static_cast<PluginEvent&>(event);
  std::vector<std::unique_ptr<Event>> beside;
  for (const Side* side : {&second_, &reducing_}) {
    if (!side->used) continue;
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Event> end, device_->create_event());
    TENON_RETURN_IF_ERROR(side->stream->record(*end));
    beside.push_back(std::move(end));
  }
  of_plugin.set_beside(std::move(beside));
  return take(backend_.record_event(handle_, of_plugin.handle()));
}

}  // namespace tenon
