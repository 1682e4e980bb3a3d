#include "tenon/runtime/workspace.h"

namespace tenon {
namespace {

size_t size_of(const Ref<Buffer>& memory) { return memory ? memory->size() : 0; }

// Memory that grows is given a quarter more than it needs: sizes that rise step by step must not
// move it each time.
Status grow(Ref<Buffer>& memory, size_t bytes, Device* device) {
  const size_t before = size_of(memory);
  if (memory && before >= bytes) return absl::OkStatus();
  memory = nullptr;  // first, so that there is never more than one
  TENON_ASSIGN_OR_RETURN(memory, device->allocate(before == 0 ? bytes : bytes + bytes / 4, true));
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<Workspace>> Workspace::create(Device* device) {
  std::unique_ptr<Workspace> made(new Workspace(device));
  TENON_ASSIGN_OR_RETURN(made->stream_, device->create_stream());
  return made;
}

Status Workspace::reserve(const Binding& b) {
  TENON_RETURN_IF_ERROR(grow(arena_, b.arena_bytes, cpu_device()));
  TENON_RETURN_IF_ERROR(grow(scratch_, b.scratch_bytes, cpu_device()));
  if (b.device_arena_bytes > 0) {
    TENON_RETURN_IF_ERROR(grow(device_arena_, b.device_arena_bytes, device_));
  }
  if (b.device_scratch_bytes == 0) return absl::OkStatus();
  return grow(device_scratch_, b.device_scratch_bytes, device_);
}

size_t Workspace::bytes() const {
  return size_of(arena_) + size_of(scratch_) + size_of(device_arena_) + size_of(device_scratch_) +
         host_memory_.bytes() + device_memory_.bytes();
}

bool Workspace::holds(const Binding& b) const {
  return size_of(arena_) >= b.arena_bytes && size_of(scratch_) >= b.scratch_bytes &&
         size_of(device_arena_) >= b.device_arena_bytes &&
         size_of(device_scratch_) >= b.device_scratch_bytes;
}

void* Workspace::scratch(bool on_host) const {
  const Ref<Buffer>& memory = on_host ? scratch_ : device_scratch_;
  return memory ? memory->data() : nullptr;
}

StatusOr<std::unique_ptr<Workspace>> WorkspacePool::take(const Binding& binding) {
  {
    const std::lock_guard lock(mutex_);
    const auto better = [&](const auto& a, const auto& b) {
      const bool a_holds = a->holds(binding), b_holds = b->holds(binding);
      if (a_holds != b_holds) return a_holds;
      return a_holds ? a->bytes() < b->bytes() : a->bytes() > b->bytes();
    };
    const auto best = std::min_element(idle_.begin(), idle_.end(), better);
    if (best != idle_.end()) {
      std::unique_ptr<Workspace> taken = std::move(*best);
      idle_.erase(best);
      return taken;
    }
  }
  return Workspace::create(device_);
}

// One always stays.
void WorkspacePool::give_back(std::unique_ptr<Workspace> workspace, size_t most_bytes) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(workspace));
  size_t bytes = 0;
  for (const auto& each : idle_) bytes += each->bytes();
  while (idle_.size() > 1 && bytes > most_bytes) {
    bytes -= idle_.front()->bytes();
    idle_.erase(idle_.begin());
  }
}

void WorkspacePool::drop_idle() {
  const std::lock_guard lock(mutex_);
  idle_.clear();
}

size_t WorkspacePool::bytes() const {
  const std::lock_guard lock(mutex_);
  size_t total = 0;
  for (const auto& each : idle_) total += each->bytes();
  return total;
}

}  // namespace tenon
