#include "plugins/cuda/libraries.h"

#include <dlfcn.h>

#include <cstdlib>

namespace plugin::cuda {
namespace {

CublasLt cublas_lt_table;
Cudnn cudnn_table;
Nvrtc nvrtc_table;
Nccl nccl_table;
bool has_nccl = false;

std::vector<std::string> library_folders() {
  std::vector<std::string> folders;
  if (const char* home = std::getenv("CUDA_HOME")) {
    folders.push_back(std::string(home) + "/lib64");
  }
  folders.emplace_back("/usr/local/cuda/lib64");
  if (const char* wheels = std::getenv("TENON_CUDA_WHEELS")) {
    for (const char* folder : {"/nvidia/cu13/lib", "/nvidia/cudnn/lib", "/nvidia/nccl/lib"}) {
      folders.push_back(std::string(wheels) + folder);
    }
  }
  return folders;
}

// Stays open for the life of the process.
TenonStatus* open_library(const std::string& name, void** library) {
  *library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  std::string places = "the loader's path";
  for (const std::string& folder : library_folders()) {
    if (*library) return nullptr;
    *library = dlopen((folder + "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL);
    places += ", " + folder;
  }
  if (*library) return nullptr;
  return error(kFailedPrecondition,
               name + " was not found in " + places +
                   ": install CUDA 13's libraries, cuDNN 9 and NCCL 2, or name their folder in "
                   "LD_LIBRARY_PATH");
}

struct Symbol {
  void** place;
  const char* name;
};

// NVRTC asks the loader for its builtins by their name alone, which it does not find beside a
// library that was opened by its path: loaded before, they are found.
void open_nvrtc_builtins() {
  int major = 0, minor = 0;
  Dl_info info;
  if (nvrtc_table.Version(&major, &minor) != NVRTC_SUCCESS ||
      dladdr(reinterpret_cast<void*>(nvrtc_table.Version), &info) == 0) {
    return;
  }
  const std::string path = info.dli_fname;
  const std::string name =
      "libnvrtc-builtins.so." + std::to_string(major) + "." + std::to_string(minor);
  dlopen((path.substr(0, path.rfind('/') + 1) + name).c_str(), RTLD_NOW | RTLD_LOCAL);
}

TenonStatus* open_table(const std::string& name, const std::vector<Symbol>& symbols) {
  void* library = nullptr;
  if (TenonStatus* status = open_library(name, &library)) return status;
  for (const Symbol& symbol : symbols) {
    *symbol.place = dlsym(library, symbol.name);
    if (!*symbol.place) {
      return error(kFailedPrecondition,
                   name + " has no " + symbol.name + ": it is of another version");
    }
  }
  return nullptr;
}

}  // namespace

TenonStatus* open_libraries() {
#define X(name) {reinterpret_cast<void**>(&cublas_lt_table.name), "cublasLt" #name},
  TenonStatus* status = open_table("libcublasLt.so.13", {TENON_CUBLASLT_FUNCTIONS(X)});
#undef X
  if (status) return status;
#define X(name) {reinterpret_cast<void**>(&nvrtc_table.name), "nvrtc" #name},
  status = open_table("libnvrtc.so.13", {TENON_NVRTC_FUNCTIONS(X)});
#undef X
  if (status) return status;
  open_nvrtc_builtins();
#define X(name) {reinterpret_cast<void**>(&cudnn_table.name), "cudnn" #name},
  return open_table("libcudnn.so.9", {TENON_CUDNN_FUNCTIONS(X)});
#undef X
}

const std::string& open_nccl() {
  static const std::string missing = [] {
#define X(name) {reinterpret_cast<void**>(&nccl_table.name), "nccl" #name},
    TenonStatus* status = open_table("libnccl.so.2", {TENON_NCCL_FUNCTIONS(X)});
#undef X
    has_nccl = !status;
    if (!status) return std::string();
    const TenonText text = host->status_message(status);
    std::string sentence = "gradients of several GPUs are summed on the host, for " +
                           std::string(text.data, text.size);
    host->free_status(status);
    return sentence;
  }();
  return missing;
}

const CublasLt& cublas_lt() { return cublas_lt_table; }
const Cudnn& cudnn() { return cudnn_table; }
const Nvrtc& nvrtc() { return nvrtc_table; }
const Nccl* nccl() { return has_nccl ? &nccl_table : nullptr; }

}  // namespace plugin::cuda
