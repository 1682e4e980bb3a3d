// Device, Stream, Event: what the runtime knows of the hardware. Nothing above this header knows
// what a CPU is; a backend plug-in provides devices of its own through tenon/plugin.h.
//
// Wherever a Device* says whose memory something is, null means the host's.
#pragma once

#include <mutex>

#include "tenon/core/kernel.h"

namespace tenon {

class NodePrepare;

// A point in the work of a stream that others can wait for. Not thread-safe; the owner locks.
class Event {
 public:
  virtual ~Event() = default;

  // The host waits until the work before the last Stream::record() is done. The first failure of
  // the run that it was part of, as far as it had come (Stream::begin_run()).
  virtual Status synchronize() = 0;
};

// Work of a stream that was captured, to be enqueued again as a whole. It belongs to the device.
class CapturedWork {
 public:
  virtual ~CapturedWork() = default;
};

// An ordered queue of work on one device. Used by one run at a time.
class Stream {
 public:
  virtual ~Stream() = default;

  virtual Device* device() const = 0;

  // Enqueue a copy. The host memory of copy_from_host may be reused when the call returns, that of
  // copy_to_host holds the bytes after synchronize().
  virtual Status copy_from_host(void* device_data, const void* host, size_t bytes) = 0;
  virtual Status copy_to_host(void* host, const void* device_data, size_t bytes) = 0;
  virtual Status copy(void* destination, const void* source, size_t bytes) = 0;

  // `event` stands for all work enqueued here so far.
  virtual Status record(Event& event) = 0;
  // Work enqueued here later starts when `event`, of a stream of the same device, has come.
  virtual Status wait(Event& event) = 0;

  // Waits until all enqueued work is done and reports the first failure of the run.
  virtual Status synchronize() = 0;

  // What is enqueued from here on is another run: failures of earlier work are not its own.
  virtual void begin_run() {}

  // Between begin_capture() and end_capture() work is not done but noted. UNIMPLEMENTED where
  // Device::captures() is false. Work that was noted finds the same addresses each time.
  virtual bool capturing() const { return false; }
  virtual Status begin_capture();
  virtual StatusOr<std::unique_ptr<CapturedWork>> end_capture();
  virtual Status launch(CapturedWork& work);

  // A second stream of this run, for work beside what is enqueued here; it starts after what is
  // enqueued here so far. join(): what is enqueued here later waits for it. UNIMPLEMENTED where
  // there is none.
  virtual StatusOr<Stream*> fork();
  virtual Status join() { return absl::OkStatus(); }
};

// The end of a run that was not waited for. Thread-safe.
class Completion {
 public:
  // Of work on `device`; `event` was recorded behind it. The run fails with those of `inputs` that
  // its arguments came from.
  Completion(Device* device, std::unique_ptr<Event> event,
             std::vector<std::shared_ptr<Completion>> inputs);

  // Waits, and says how the run ended, to everybody who asks.
  Status wait();
  // What is enqueued on `stream` later comes after it; from another device, the host waits. The
  // run's failure if that is known.
  Status before(Stream& stream);
  bool is_known();  // how it ended

 private:
  // So many runs one after the other may be under way that take each other's results.
  static constexpr int kDeepest = 64;

  Device* const device_;
  std::mutex mutex_;
  std::unique_ptr<Event> event_;  // null once the end is known
  std::vector<std::shared_ptr<Completion>> inputs_;
  int depth_ = 1;
  Status status_;
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
  // A Buffer may be let go while enqueued work still uses it: its memory is given out again only
  // when that work is done.
  virtual StatusOr<Ref<Buffer>> allocate(size_t bytes, bool transient) = 0;

  virtual StatusOr<std::unique_ptr<Stream>> create_stream() = 0;
  virtual StatusOr<std::unique_ptr<Event>> create_event() = 0;

  // May work be captured on its streams?
  virtual bool captures() const { return false; }

  // Does the device want nodes to be fused into `op` ("_FusedMatMul")?
  virtual bool wants_fusion(std::string_view op) const;

  // Has the device a kernel for such a node? What it has none for runs on the host.
  virtual bool implements(const OpDef& op, const AttrMap& attrs) const = 0;

  // The kernel of the first factory that accepts; UNIMPLEMENTED joins the reasons of all.
  virtual StatusOr<Kernel> make_kernel(NodePrepare& prepare) const = 0;
};

// The host's processors: the device that every build has. Never null, lives for ever.
Device* cpu_device();

// A logical device "/device:CPU:index" that shares the host's processors and memory.
std::unique_ptr<Device> make_virtual_cpu(int index);

// All devices of this process: the CPU and those that plug-ins brought. Filled once by the
// composition root, before any thread that uses it.
class DeviceRegistry {
 public:
  static DeviceRegistry& global();

  void add(std::unique_ptr<Device> device) { added_.push_back(std::move(device)); }

  // Makes the host `count` logical devices, "/device:CPU:0" and on, as TensorFlow's
  // set_logical_device_configuration(); at least 1.
  void set_virtual_cpus(int count);

  // The CPUs last: what plug-ins bring comes first, in the order in which it was added.
  std::vector<Device*> all() const;

  // By name, "/device:GPU:0" or "GPU:0" or "GPU"; NOT_FOUND names those there are.
  StatusOr<Device*> find(std::string_view name) const;

  // Where Executables run that name no device: the first of all(), or what was chosen.
  Device* preferred() const { return preferred_ ? preferred_ : all().front(); }
  void prefer(Device* device) { preferred_ = device; }

 private:
  std::vector<std::unique_ptr<Device>> added_;
  Device* preferred_ = nullptr;
  std::vector<std::unique_ptr<Device>> virtual_cpus_;  // from "/device:CPU:1" on
};

// The device whose memory holds the tensor; null for the host's.
inline Device* device_of(const Tensor& tensor) {
  return tensor.buffer() ? tensor.buffer()->device() : nullptr;
}

// A copy of `tensor` in memory of its own: on `stream`'s device, enqueued there, or on the host
// (`stream` null), when it is there on return. What computes it is waited for, by `stream` or here.
// From the memory of another device than `stream`'s the way leads over the host.
StatusOr<Tensor> copy_to(const Tensor& tensor, Stream* stream);

// Waits until the content of `tensor` is there; how the run that computes it ended.
Status wait_for(const Tensor& tensor);

// Makes `tensor` one that stays valid whatever happens to arenas, wherever it is: a copy if it is
// transient. `stream` is the one that computes it.
Status keep(Tensor& tensor, Stream* stream);

}  // namespace tenon
