// Any bytes as a tensor bundle's index (and as its shard), and, past the checksums that guard them,
// as the messages that an index holds.

#include "tenon/io/tensor_bundle.h"
#include "tests/fuzz/temporary_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)tenon::parse_bundle_header(bytes).ok();
  (void)tenon::parse_bundle_entry(bytes).ok();
  tenon::temporary_file(bytes, ".data-00000-of-00001");
  std::string prefix = tenon::temporary_file(bytes, ".index");
  prefix.resize(prefix.size() - std::string_view(".index").size());
  const auto bundle = tenon::BundleReader::open(prefix);
  if (!bundle.ok()) return 0;
  for (const auto& [key, entry] : (*bundle)->entries()) (void)(*bundle)->read(key).ok();
  return 0;
}
