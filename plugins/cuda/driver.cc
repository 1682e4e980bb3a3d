#include "plugins/cuda/driver.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace plugin::cuda {
namespace {

constexpr int kNeededVersion = 13000;

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// The first device file that cannot be opened, with the reason; empty when all can.
std::string closed_device_file() {
  for (const char* path : {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0"}) {
    const int file = open(path, O_RDWR | O_CLOEXEC);
    if (file >= 0) {
      close(file);
    } else if (errno != ENOENT) {
      return std::string(path) + ": " + std::strerror(errno);
    }
  }
  return {};
}

}  // namespace

TenonStatus* check_driver(int* num_devices) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) {
    return error(kFailedPrecondition,
                 "there is no NVIDIA driver: libcuda.so.1 was not found in the loader's path "
                 "(install the driver; in a container, start it with --gpus all, for which the "
                 "host needs NVIDIA's Container Toolkit)");
  }
  const auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto get_version = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDriverGetVersion"));
  const auto describe =
      reinterpret_cast<int (*)(int, const char**)>(dlsym(driver, "cuGetErrorString"));
  if (!init || !get_version || !describe) {
    return error(kFailedPrecondition, "libcuda.so.1 is no NVIDIA driver");
  }
  int version = 0;
  if (get_version(&version) == 0 && version < kNeededVersion) {
    return error(kFailedPrecondition, "the NVIDIA driver is for CUDA " + version_text(version) +
                                          ", this plug-in needs one for CUDA " +
                                          version_text(kNeededVersion) + " (580 or later)");
  }
  if (const int failed = init(0)) {
    const std::string closed = closed_device_file();
    if (!closed.empty()) {
      return error(kFailedPrecondition, "there is no permission to use the GPU: " + closed);
    }
    const char* text = nullptr;
    describe(failed, &text);
    return error(kFailedPrecondition,
                 "the NVIDIA driver does not start: " + std::string(text ? text : "unknown error") +
                     " (error " + std::to_string(failed) + ")");
  }
  const cudaError_t counted = cudaGetDeviceCount(num_devices);
  if (counted != cudaSuccess || *num_devices == 0) {
    return error(kFailedPrecondition,
                 std::string("the NVIDIA driver shows no GPU: ") + cudaGetErrorString(counted));
  }
  return nullptr;
}

}  // namespace plugin::cuda
