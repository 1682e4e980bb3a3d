// The dynamic section of an ELF file: what the loader needs to know of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tenon/base/function_ref.h"
#include "tenon/base/status.h"

namespace tenon::image {

struct ElfInfo {
  bool is_elf = false;  // false: the other fields say nothing
  bool is_64 = false;
  uint16_t machine = 0;  // e_machine: 62 x86-64, 183 AArch64, 40 ARM
  bool is_shared = false;
  std::string soname;
  std::vector<std::string> needed;    // DT_NEEDED
  std::vector<std::string> run_path;  // DT_RPATH and DT_RUNPATH entries
  std::string interpreter;            // PT_INTERP
  bool opens_libraries = false;       // links or defines dlopen or dlmopen
  uint64_t loaded_size = 0;           // end of the last byte that a segment loads
};

// `read(offset, out)` fills `out` from the file or fails. A file that is no little-endian ELF file,
// or whose tables do not hold together, comes back with is_elf false.
ElfInfo read_elf(uint64_t file_size, FunctionRef<Status(uint64_t, std::span<char>)> read);

}  // namespace tenon::image
