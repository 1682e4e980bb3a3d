// Less of an ELF file than a package or a build has: what an image ships of it. Every address in
// memory stays, so that nothing else in the file changes.
#pragma once

#include <string>
#include <string_view>

#include "tenon/base/function_ref.h"
#include "tenon/base/status.h"

namespace tenon::image {

// `bytes` up to the last byte that segments load: without symbols, debugging information and the
// table of sections, which no loader reads. What is no ELF file comes back as it is.
std::string loaded_part(std::string bytes);

// Where a file holds what a symbol stands for.
struct ElfObject {
  size_t offset = 0, size = 0;
};
// The first dynamic symbol whose name `chosen` admits. NOT_FOUND without one, DATA_LOSS for what is
// no ELF file or points out of it.
StatusOr<ElfObject> find_elf_object(std::string_view bytes,
                                    FunctionRef<bool(std::string_view)> chosen);

// Puts `content`, no longer than `object`, in its place and fills the rest of it with zeros. Whole
// pages of zeros at the end of its segment leave the file (the loader fills a segment that is
// longer in memory than in the file with zeros), where the segments let them.
void shrink_elf_object(std::string& bytes, ElfObject object, std::string_view content);

}  // namespace tenon::image
