// Any bytes as a TFRecord file, plain and under each compression (the first byte chooses).

#include "tenon/io/record_io.h"
#include "tests/fuzz/temporary_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr tenon::Compression kKinds[] = {tenon::Compression::kNone, tenon::Compression::kGzip,
                                           tenon::Compression::kZlib};
  const std::string path =
      tenon::temporary_file({reinterpret_cast<const char*>(data) + 1, size - 1}, ".tfrecord");
  auto reader = tenon::RecordReader::open(path, kKinds[data[0] % 3], uint64_t{1} << 20);
  if (!reader.ok()) return 0;
  std::string record;
  for (auto more = reader->next(record); more.ok() && *more;) more = reader->next(record);
  return 0;
}
