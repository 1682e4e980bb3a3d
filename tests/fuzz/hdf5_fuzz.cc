// Any bytes as an HDF5 file: every dataset and attribute is refused or read.

#include "tenon/io/hdf5_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = tenon::Hdf5Reader::from_bytes(
      std::string(reinterpret_cast<const char*>(data), size), "input");
  if (!file.ok()) return 0;
  const auto read_attributes = [&](const std::string& path) {
    const auto names = (*file)->attributes(path);
    if (!names.ok()) return;
    for (const std::string& name : *names) (void)(*file)->attribute(path, name).ok();
  };
  read_attributes("");
  const auto datasets = (*file)->datasets();
  if (!datasets.ok()) return 0;
  for (const std::string& path : *datasets) {
    (void)(*file)->read(path).ok();
    read_attributes(path);
  }
  return 0;
}
