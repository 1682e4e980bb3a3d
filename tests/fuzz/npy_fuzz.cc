// Any bytes as a NumPy array: refused, or read into a tensor that can be written again.

#include <cstdlib>

#include "tenon/io/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tensor = tenon::decode_npy({reinterpret_cast<const char*>(data), size}, "input");
  if (!tensor.ok()) return 0;
  const auto again = tenon::encode_npy(*tensor);
  if (again.ok() && !tenon::decode_npy(*again, "output").ok()) std::abort();
  return 0;
}
