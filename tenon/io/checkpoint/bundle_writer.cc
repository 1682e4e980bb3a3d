#include "tenon/io/checkpoint/bundle_strings.h"
#include "tenon/io/crc32c.h"
#include "tenon/io/table.h"
#include "tenon/io/tensor_bundle.h"

namespace tenon {

StatusOr<std::unique_ptr<BundleWriter>> BundleWriter::create(const std::string& prefix) {
  TENON_ASSIGN_OR_RETURN(auto data, AtomicFile::create(bundle_shard_path(prefix, 0, 1)));
  return std::unique_ptr<BundleWriter>(new BundleWriter(prefix, std::move(data)));
}

Status BundleWriter::add(std::string_view key, const Tensor& tensor) {
  if (key.empty()) return invalid_argument("a tensor in a checkpoint needs a name");
  if (index_.find(key) != index_.end()) {
    return already_exists("tensor '", key, "' is already in checkpoint '", prefix_, "'");
  }
  BundleEntry entry;
  entry.dtype = tensor.dtype();
  entry.shape = tensor.shape();
  entry.offset = offset_;
  if (tensor.dtype() == DType::kString) {
    std::string lengths;
    entry.masked_crc = encode_bundle_lengths(tensor, lengths);
    entry.size = lengths.size();
    TENON_RETURN_IF_ERROR(data_->append(lengths));
    for (const std::string_view text : tensor.span<std::string_view>()) {
      entry.size += text.size();
      TENON_RETURN_IF_ERROR(data_->append(text));
    }
  } else if (is_object(tensor.dtype()) || !tensor.has_value()) {
    return unimplemented("tensor '", key, "' of type ", tensor.dtype(),
                         " cannot be written to a checkpoint");
  } else {
    const std::string_view bytes(static_cast<const char*>(tensor.raw()), tensor.num_bytes());
    entry.masked_crc = mask_crc(crc32c(bytes));
    entry.size = bytes.size();
    TENON_RETURN_IF_ERROR(data_->append(bytes));
  }
  offset_ += entry.size;
  index_.emplace(key, serialize(entry));
  return absl::OkStatus();
}

Status BundleWriter::finish() {
  TableBuilder table;
  TENON_RETURN_IF_ERROR(table.add("", serialize(BundleHeader{})));
  for (const auto& [key, value] : index_) TENON_RETURN_IF_ERROR(table.add(key, value));
  TENON_ASSIGN_OR_RETURN(auto index, AtomicFile::create(prefix_ + ".index"));
  TENON_RETURN_IF_ERROR(index->append(std::move(table).finish()));
  TENON_RETURN_IF_ERROR(index->sync());
  TENON_RETURN_IF_ERROR(data_->sync());
  TENON_RETURN_IF_ERROR(data_->commit());
  return index->commit();
}

}  // namespace tenon
