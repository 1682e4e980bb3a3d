// Kernels of the lazy device. Most are the host's own, run late on a stream's thread; those that
// change variables and some of the fused ops are written here.
#pragma once

#include <vector>

#include "plugins/base/node_reading.h"
#include "plugins/lazy/lazy_device.h"
#include "tenon/plugin.h"

namespace plugin::lazy {

// A TenonTensor that outlives the call that gave it.
struct Captured {
  explicit Captured(const TenonTensor& tensor);
  int64_t size() const;
  // As a stream's thread sees it.
  TenonTensor on(const Device& device) const {
    return {{dtype, static_cast<int32_t>(dims.size()), dims.data()}, device.reachable(data)};
  }
  template <class T>
  T* as(const Device& device) const {
    return static_cast<T*>(device.reachable(data));
  }
  std::vector<int64_t> dims;
  int32_t dtype;
  void* data;
};

inline Stream& stream_behind(void* handle) {
  return **static_cast<std::shared_ptr<Stream>*>(handle);
}
inline Stream& stream_of(TenonRun* run) { return stream_behind(host->run_stream(run)); }

// A kernel for nodes whose attribute `attr` is `types[0]`; for all when it is null.
struct KernelRow {
  const char* op;
  const char* attr;
  const int32_t* types;
  TenonStatus* (*prepare)(void*, TenonPrepare*, TenonKernel*);
};

// Of fused ops: UNIMPLEMENTED for what only the host's kernels take.
const std::vector<KernelRow>& fused_kernels();

// The tables for TenonPlugin; they live as long as the process.
const std::vector<const TenonKernelFactory*>& kernels();

}  // namespace plugin::lazy
