// Device, Stream: what the runtime knows of the hardware. Nothing above this header knows what a
// CPU is; a backend plug-in provides devices of its own through tenon/plugin.h.
#pragma once

#include "tenon/core/kernel.h"

namespace tenon {

// An ordered queue of work on one device. Used by one run at a time.
class Stream {
 public:
  virtual ~Stream() = default;

  // Enqueue a copy; the host memory must stay valid until synchronize() returns.
  virtual Status copy_from_host(void* device_data, const void* host, size_t bytes) = 0;
  virtual Status copy_to_host(void* host, const void* device_data, size_t bytes) = 0;
  virtual Status copy(void* destination, const void* source, size_t bytes) = 0;

  // Waits until all enqueued work is done and reports the first failure among it.
  virtual Status synchronize() = 0;
};

struct DeviceMemory {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
};

// Thread-safe.
class Device {
 public:
  virtual ~Device() = default;

  // "/device:CPU:0", as in TensorFlow.
  virtual std::string name() const = 0;
  // "CPU", "GPU".
  virtual std::string type() const = 0;
  // What a person calls it: the processor's or card's name and its instruction set.
  virtual std::string description() const = 0;
  virtual DeviceMemory memory() const = 0;

  // True when the host may read and write the device's memory directly.
  virtual bool host_accessible() const = 0;

  // `transient` marks arenas, see Buffer::transient(). RESOURCE_EXHAUSTED when there is no memory.
  virtual StatusOr<Ref<Buffer>> allocate(size_t bytes, bool transient) = 0;

  virtual StatusOr<std::unique_ptr<Stream>> create_stream() = 0;

  // Factories for `op` in the order in which they are tried; empty when the device has none.
  virtual std::span<const KernelFactory> kernels(const OpDef& op) const = 0;
};

// The host's processors: the device that every build has. Never null, lives for ever.
Device* cpu_device();

}  // namespace tenon
