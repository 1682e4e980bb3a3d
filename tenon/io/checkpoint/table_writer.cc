#include "tenon/base/wire.h"
#include "tenon/io/bytes.h"
#include "tenon/io/checkpoint/table_format.h"
#include "tenon/io/crc32c.h"
#include "tenon/io/table.h"

namespace tenon {
namespace {

constexpr size_t kBlockSize = 262144;

size_t shared_prefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(std::min(a.size(), b.size())),
                    b.begin())
          .first -
      a.begin());
}

// A short key k with a <= k < b.
std::string short_separator(std::string_view a, std::string_view b) {
  const size_t shared = shared_prefix(a, b);
  if (shared < a.size() && shared < b.size()) {
    const auto byte = static_cast<uint8_t>(a[shared]);
    if (byte < 0xff && byte + 1 < static_cast<uint8_t>(b[shared])) {
      std::string key(a.substr(0, shared + 1));
      key.back() = static_cast<char>(byte + 1);
      return key;
    }
  }
  return std::string(a);
}

// A short key at least `a`.
std::string short_successor(std::string_view a) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == '\xff') continue;
    std::string key(a.substr(0, i + 1));
    key.back() = static_cast<char>(key.back() + 1);
    return key;
  }
  return std::string(a);
}

}  // namespace

void TableBuilder::Block::add(std::string_view key, std::string_view value) {
  size_t shared = 0;
  if (since_restart < restart_interval) {
    shared = shared_prefix(last_key, key);
  } else {
    restarts.push_back(static_cast<uint32_t>(bytes.size()));
    since_restart = 0;
  }
  append_varint(bytes, shared);
  append_varint(bytes, key.size() - shared);
  append_varint(bytes, value.size());
  bytes += key.substr(shared);
  bytes += value;
  last_key = key;
  ++since_restart;
}

std::string TableBuilder::Block::finish() {
  for (const uint32_t restart : restarts) append_le(bytes, restart);
  append_le(bytes, static_cast<uint32_t>(restarts.size()));
  std::string out = std::move(bytes);
  *this = Block(restart_interval);
  return out;
}

std::string TableBuilder::write_block(Block& block) {
  std::string bytes = block.finish();
  std::string handle;
  append_varint(handle, file_.size());
  append_varint(handle, bytes.size());
  bytes += table_format::kUncompressed;
  const uint32_t crc = mask_crc(crc32c(bytes));
  file_ += bytes;
  append_le(file_, crc);
  return handle;
}

void TableBuilder::end_data_block(std::string_view separator) {
  if (pending_handle_.empty()) return;
  index_.add(separator, pending_handle_);
  pending_handle_.clear();
}

Status TableBuilder::add(std::string_view key, std::string_view value) {
  if (!empty_ && key <= last_key_) {
    return invalid_argument("table keys must ascend: '", key, "' follows '", last_key_, "'");
  }
  end_data_block(short_separator(last_key_, key));
  data_.add(key, value);
  last_key_ = key;
  empty_ = false;
  // What the finished block would take, as TensorFlow's builder estimates it.
  if (data_.bytes.size() + 4 * data_.restarts.size() + 4 >= kBlockSize) {
    pending_handle_ = write_block(data_);
  }
  return absl::OkStatus();
}

std::string TableBuilder::finish() && {
  if (!data_.bytes.empty()) pending_handle_ = write_block(data_);
  Block metaindex(16);
  std::string footer = write_block(metaindex);
  end_data_block(short_successor(last_key_));
  footer += write_block(index_);
  footer.resize(table_format::kHandlesSize, '\0');
  append_le(footer, table_format::kMagic);
  file_ += footer;
  return std::move(file_);
}

}  // namespace tenon
