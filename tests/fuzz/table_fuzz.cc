// Any bytes as a table of training data: CSV, TSV or IDX, as the first byte chooses.

#include "tenon/data/files.h"
#include "tests/fuzz/temporary_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr const char* kSuffixes[] = {".csv", ".tsv", ".idx"};
  const std::string path = tenon::temporary_file(
      {reinterpret_cast<const char*>(data) + 1, size - 1}, kSuffixes[data[0] % 3]);
  (void)tenon::data::read_table(path).ok();
  return 0;
}
