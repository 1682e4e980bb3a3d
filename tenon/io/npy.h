// NumPy's .npy arrays (format versions 1 to 3) and .npz archives of them.
//
// NumPy's 'S' and 'U' strings become kString (UTF-8, trailing NULs dropped); kString is written as
// 'S'. bfloat16 is written as its bits in uint16. Fortran order and big-endian arrays are read;
// what is written is C order, little-endian. Object arrays (pickles) are refused.
#pragma once

#include <utility>

#include "tenon/core/tensor.h"
#include "tenon/io/zip.h"

namespace tenon {

// `where` names the bytes in messages. INVALID_ARGUMENT when they are no such array; DATA_LOSS when
// they are cut off.
StatusOr<Tensor> decode_npy(std::string_view bytes, std::string_view where);
StatusOr<std::string> encode_npy(const Tensor& tensor);

StatusOr<Tensor> read_npy(const std::string& path);
Status write_npy(const std::string& path, const Tensor& tensor);

class NpzReader {
 public:
  static StatusOr<NpzReader> open(const std::string& path);

  // Without ".npy", in the order of the archive.
  const std::vector<std::string>& names() const { return names_; }
  StatusOr<Tensor> read(std::string_view name) const;

 private:
  std::string path_;
  std::unique_ptr<ZipReader> zip_;
  std::vector<std::string> names_;
};

// As numpy.savez, or numpy.savez_compressed.
Status write_npz(const std::string& path, std::span<const std::pair<std::string, Tensor>> arrays,
                 bool compressed = false);

}  // namespace tenon
