#include <unistd.h>

#include <fstream>

#include "tenon/core/device.h"
#include "tenon/core/node_prepare.h"

namespace tenon {
namespace {

// The host runs a kernel when it is called: nothing is ever under way.
class CpuEvent final : public Event {
 public:
  Status synchronize() override { return absl::OkStatus(); }
};

class CpuStream final : public Stream {
 public:
  Device* device() const override { return nullptr; }
  Status copy_from_host(void* to, const void* from, size_t bytes) override {
    return copy(to, from, bytes);
  }
  Status copy_to_host(void* to, const void* from, size_t bytes) override {
    return copy(to, from, bytes);
  }
  Status copy(void* to, const void* from, size_t bytes) override {
    if (bytes > 0) std::memmove(to, from, bytes);
    return absl::OkStatus();
  }
  Status record(Event&) override { return absl::OkStatus(); }
  Status wait(Event&) override { return absl::OkStatus(); }
  Status synchronize() override { return absl::OkStatus(); }
};

class TransientHostBuffer final : public Buffer {
 public:
  TransientHostBuffer(Ref<Buffer> memory)
      : Buffer(memory->data(), memory->size(), nullptr, true), memory_(std::move(memory)) {}

 private:
  Ref<Buffer> memory_;
};

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return std::string(trim(line.substr(line.find(':') + 1)));
  }
  return "unknown processor";
}

// The widest of the instruction sets that kernels are compiled for.
std::string instruction_set() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bf16")) return "AVX-512 with bfloat16";
  if (__builtin_cpu_supports("avx512f")) return "AVX-512";
  if (__builtin_cpu_supports("avx2")) return "AVX2";
  return "SSE4.2";
#else
  return "baseline";
#endif
}

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(int index) : index_(index) {}
  std::string name() const override { return cat("/device:CPU:", index_); }
  std::string type() const override { return "CPU"; }
  std::string description() const override {
    return cat(processor_name(), ", ", instruction_set());
  }
  DeviceMemory memory() const override {
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return {static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page,
            static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * page};
  }
  bool host_accessible() const override { return true; }
  StatusOr<Ref<Buffer>> allocate(size_t bytes, bool transient) override {
    Ref<Buffer> memory = Buffer::host(bytes);
    if (!memory) return resource_exhausted("out of memory: ", bytes, " bytes were asked for");
    if (!transient) return memory;
    return Ref<Buffer>(make_ref<TransientHostBuffer>(std::move(memory)));
  }
  StatusOr<std::unique_ptr<Stream>> create_stream() override {
    return std::make_unique<CpuStream>();
  }
  StatusOr<std::unique_ptr<Event>> create_event() override { return std::make_unique<CpuEvent>(); }
  // Half precision is computed, not moved, there: such chains were measured to take as long.
  bool wants_fusion(std::string_view op) const override {
    return op != "_FusedMixedElementwise" && op != "_FusedBatchNormEx" &&
           op != "_FusedBatchNormGradEx";
  }
  bool implements(const OpDef&, const AttrMap&) const override { return true; }
  StatusOr<Kernel> make_kernel(NodePrepare& prepare) const override {
    const std::span<const KernelFactory> factories = prepare.op().kernels();
    return prepare.first_accepted(factories.size(),
                                  [&](size_t i) { return factories[i](prepare); });
  }

 private:
  const int index_;
};

}  // namespace

Device* cpu_device() {
  static CpuDevice device(0);
  return &device;
}

std::unique_ptr<Device> make_virtual_cpu(int index) { return std::make_unique<CpuDevice>(index); }

}  // namespace tenon
