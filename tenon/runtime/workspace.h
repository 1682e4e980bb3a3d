// Workspace: the memory that a run in flight computes in, whatever the shapes: an arena and scratch
// memory in each space, and the stream. It grows to what the largest Binding that used it needs and
// is handed from one to the next, so that many shapes, and all functions of a model, cost no more
// memory than the largest.
#pragma once

#include "tenon/runtime/binding.h"
#include "tenon/runtime/bump_arena.h"

namespace tenon {

// Used by one run at a time.
class Workspace {
 public:
  // Of a Plan that runs on `device`.
  static StatusOr<std::unique_ptr<Workspace>> create(Device* device);

  // Makes the memory large enough for `binding`; what it held before is lost. RESOURCE_EXHAUSTED.
  Status reserve(const Binding& binding);

  // Of arenas and scratch memory.
  size_t bytes() const;
  bool holds(const Binding& binding) const;

  const Ref<Buffer>& arena(bool on_host) const { return on_host ? arena_ : device_arena_; }
  void* scratch(bool on_host) const;
  BumpArena& dynamic_memory(bool on_host) { return on_host ? host_memory_ : device_memory_; }
  Stream& stream() { return *stream_; }

 private:
  explicit Workspace(Device* device)
      : device_(device), host_memory_(cpu_device()), device_memory_(device) {}

  Device* device_;
  Ref<Buffer> arena_;
  Ref<Buffer> device_arena_;
  Ref<Buffer> scratch_;
  Ref<Buffer> device_scratch_;
  BumpArena host_memory_;
  BumpArena device_memory_;
  std::unique_ptr<Stream> stream_;
};

// The idle Workspaces of a model's Plans on one device. Thread-safe.
class WorkspacePool {
 public:
  explicit WorkspacePool(Device* device) : device_(device) {}

  // The smallest that is large enough, else the largest, which then grows, else a new one.
  StatusOr<std::unique_ptr<Workspace>> take(const Binding& binding);
  // Drops others where all would have more than `most_bytes`.
  void give_back(std::unique_ptr<Workspace> workspace, size_t most_bytes);
  void drop_idle();
  size_t bytes() const;

 private:
  Device* const device_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace tenon
