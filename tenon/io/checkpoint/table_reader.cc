#include <snappy.h>

#include "tenon/base/wire.h"
#include "tenon/io/bytes.h"
#include "tenon/io/checkpoint/table_format.h"
#include "tenon/io/crc32c.h"
#include "tenon/io/table.h"

namespace tenon {

Status TableReader::corrupt(std::string_view what) const {
  return data_loss("'", file_->path(), "' is not an intact table file: ", what);
}

StatusOr<TableReader> TableReader::open(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(auto file, RandomAccessFile::open(path));
  TableReader reader(std::move(file));
  TENON_RETURN_IF_ERROR(reader.read_index());
  return reader;
}

// The footer has no checksum of its own. It is taken for intact only when its handles describe the
// one layout that writers produce: ..., metaindex block, index block, footer, without gaps.
Status TableReader::read_index() {
  if (file_->size() < table_format::kFooterSize) return corrupt("it is shorter than a footer");
  char footer[table_format::kFooterSize];
  const uint64_t footer_offset = file_->size() - table_format::kFooterSize;
  TENON_RETURN_IF_ERROR(file_->read(footer_offset, footer));
  if (load_le<uint64_t>(footer + table_format::kHandlesSize) != table_format::kMagic)
    return corrupt("its magic number is wrong");
  std::string_view handles(footer, table_format::kHandlesSize);
  TENON_ASSIGN_OR_RETURN(const Handle metaindex, take_handle(handles));
  TENON_ASSIGN_OR_RETURN(const Handle index, take_handle(handles));
  if (handles.find_first_not_of('\0') != std::string_view::npos ||
      metaindex.offset + metaindex.size + table_format::kTrailerSize != index.offset ||
      index.offset + index.size + table_format::kTrailerSize != footer_offset) {
    return corrupt("its footer contradicts the file's size");
  }
  TENON_ASSIGN_OR_RETURN(const std::string metaindex_block, read_block(metaindex));
  TENON_RETURN_IF_ERROR(scan_block(metaindex_block, [](auto, auto) { return absl::OkStatus(); }));
  TENON_ASSIGN_OR_RETURN(const std::string index_block, read_block(index));
  return scan_block(index_block, [&](std::string_view key, std::string_view value) -> Status {
    TENON_ASSIGN_OR_RETURN(const Handle handle, take_handle(value));
    blocks_.push_back({std::string(key), handle});
    return absl::OkStatus();
  });
}

StatusOr<TableReader::Handle> TableReader::take_handle(std::string_view& bytes) const {
  Handle handle;
  const uint64_t size = file_->size();
  if (!read_varint(bytes, handle.offset) || !read_varint(bytes, handle.size) ||
      handle.offset > size || handle.size > size - handle.offset ||
      size - handle.offset - handle.size < table_format::kTrailerSize) {
    return corrupt("a block lies outside of it");
  }
  return handle;
}

StatusOr<std::string> TableReader::read_block(const Handle& handle) const {
  std::string block(handle.size + table_format::kTrailerSize, '\0');
  TENON_RETURN_IF_ERROR(file_->read(handle.offset, block));
  const uint32_t stored = load_le<uint32_t>(block.data() + handle.size + 1);
  if (mask_crc(crc32c(std::string_view(block).substr(0, handle.size + 1))) != stored) {
    return corrupt(cat("the block at byte ", handle.offset, " does not match its checksum"));
  }
  const char type = block[handle.size];
  block.resize(handle.size);
  if (type == table_format::kUncompressed) return block;
  if (type != table_format::kSnappy) {
    return corrupt(cat("the block at byte ", handle.offset, " has the unknown compression type ",
                       static_cast<int>(type)));
  }
  return uncompress(block, handle);
}

StatusOr<std::string> TableReader::uncompress(std::string_view block, const Handle& handle) const {
  // A snappy copy of 3 bytes gives 64 at most, so that a greater ratio is a lie.
  constexpr size_t kMaxRatio = 32;
  size_t length = 0;
  std::string out;
  if (!snappy::GetUncompressedLength(block.data(), block.size(), &length) ||
      length / kMaxRatio > block.size() || !snappy::Uncompress(block.data(), block.size(), &out)) {
    return corrupt(cat("the block at byte ", handle.offset, " cannot be uncompressed"));
  }
  return out;
}

Status TableReader::scan_block(
    std::string_view block, FunctionRef<Status(std::string_view, std::string_view)> visit) const {
  if (block.size() < 4) return corrupt("a block is too short");
  const auto restarts = load_le<uint32_t>(block.data() + block.size() - 4);
  if (restarts > (block.size() - 4) / 4) return corrupt("a block has too many restart points");
  std::string_view rest = block.substr(0, block.size() - 4 - size_t{restarts} * 4);
  std::string key;
  bool first = true;
  while (!rest.empty()) {
    uint64_t shared = 0, unshared = 0, value_size = 0;
    if (!read_varint(rest, shared) || !read_varint(rest, unshared) ||
        !read_varint(rest, value_size) || shared > key.size() || unshared > rest.size() ||
        value_size > rest.size() - unshared) {
      return corrupt("an entry of a block is cut off");
    }
    const std::string_view delta = rest.substr(0, unshared);
    if (!first && delta <= std::string_view(key).substr(shared)) {
      return corrupt("the keys of a block are not in order");
    }
    first = false;
    key.resize(shared);
    key += delta;
    TENON_RETURN_IF_ERROR(visit(key, rest.substr(unshared, value_size)));
    rest.remove_prefix(unshared + value_size);
  }
  return absl::OkStatus();
}

Status TableReader::scan(FunctionRef<Status(std::string_view, std::string_view)> visit) const {
  for (const IndexEntry& entry : blocks_) {
    TENON_ASSIGN_OR_RETURN(const std::string block, read_block(entry.handle));
    TENON_RETURN_IF_ERROR(scan_block(block, visit));
  }
  return absl::OkStatus();
}

StatusOr<std::string> TableReader::find(std::string_view key) const {
  const auto entry = std::lower_bound(
      blocks_.begin(), blocks_.end(), key,
      [](const IndexEntry& block, std::string_view wanted) { return block.last_key < wanted; });
  bool found = false;
  std::string result;
  if (entry != blocks_.end()) {
    TENON_ASSIGN_OR_RETURN(const std::string block, read_block(entry->handle));
    TENON_RETURN_IF_ERROR(
        scan_block(block, [&](std::string_view candidate, std::string_view value) {
          if (candidate == key) {
            found = true;
            result = value;
          }
          return absl::OkStatus();
        }));
  }
  if (!found) return not_found("key '", key, "' is not in '", file_->path(), "'");
  return result;
}

}  // namespace tenon
