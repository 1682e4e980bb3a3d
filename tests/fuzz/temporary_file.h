// A file in memory that holds a fuzzer's input, for readers that want a path.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace tenon {

// /dev/shm/tenon-fuzz-<process><suffix>, written anew by every call.
inline std::string temporary_file(std::string_view bytes, const std::string& suffix) {
  const std::string path = "/dev/shm/tenon-fuzz-" + std::to_string(getpid()) + suffix;
  if (std::FILE* file = std::fopen(path.c_str(), "wb")) {
    std::fwrite(bytes.data(), 1, bytes.size(), file);
    std::fclose(file);
  }
  return path;
}

}  // namespace tenon
