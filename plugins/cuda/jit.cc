#include "plugins/cuda/jit.h"

#include <map>
#include <mutex>

namespace plugin::cuda {

TenonStatus* compile_source(const std::string& source, const std::string& architecture,
                            std::string& image) {
  const Nvrtc& lib = nvrtc();
  nvrtcProgram program = nullptr;
  nvrtcResult result = lib.CreateProgram(&program, source.c_str(), "tenon.cu", 0, nullptr, nullptr);
  if (result != NVRTC_SUCCESS) return error(kInternal, lib.GetErrorString(result));
  const std::string target = "--gpu-architecture=" + architecture;
  const char* const options[] = {target.c_str(), "--fmad=false", "--std=c++17",
                                 "--device-as-default-execution-space"};
  result = lib.CompileProgram(program, 4, options);
  TenonStatus* status = nullptr;
  size_t size = 0;
  if (result == NVRTC_SUCCESS && lib.GetCUBINSize(program, &size) == NVRTC_SUCCESS) {
    image.resize(size);
    result = lib.GetCUBIN(program, image.data());
  }
  if (result != NVRTC_SUCCESS) {
    std::string log;
    if (lib.GetProgramLogSize(program, &size) == NVRTC_SUCCESS) {
      log.resize(size);
      lib.GetProgramLog(program, log.data());
    }
    status = error(kInternal, "a kernel does not compile: " + log);
  }
  lib.DestroyProgram(&program);
  return status;
}

TenonStatus* find_kernel(const Device& device, const std::string& source, const char* name,
                         cudaKernel_t& kernel) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::string>, cudaKernel_t> compiled;
  std::lock_guard lock(mutex);
  cudaKernel_t& found = compiled[{device.architecture(), source}];
  if (!found) {
    std::string image;
    if (TenonStatus* status = compile_source(source, device.architecture(), image)) return status;
    device.use();
    cudaLibrary_t library = nullptr;
    if (TenonStatus* status = status_of(
            cudaLibraryLoadData(&library, image.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
            "a kernel cannot be loaded")) {
      return status;
    }
    if (TenonStatus* status =
            status_of(cudaLibraryGetKernel(&found, library, name), "a kernel is missing")) {
      return status;
    }
  }
  kernel = found;
  return nullptr;
}

}  // namespace plugin::cuda
