// Sorted tables in LevelDB's layout: the index file of a checkpoint, and version 1 checkpoints.
//
// Source of the layout: leveldb doc/table_format.md; TensorFlow's has plain keys and no filter.
#pragma once

#include "tenon/base/files.h"
#include "tenon/base/function_ref.h"

namespace tenon {

// Reads a table. Every block's checksum is verified before it is used; what does not fit together
// is DATA_LOSS naming the file. Thread-safe.
class TableReader {
 public:
  static StatusOr<TableReader> open(const std::string& path);

  // Calls `visit(key, value)` for every entry, keys ascending; stops at the first error. The views
  // are valid during the call.
  Status scan(FunctionRef<Status(std::string_view key, std::string_view value)> visit) const;

  // The value under `key`; NOT_FOUND when there is none.
  StatusOr<std::string> find(std::string_view key) const;

 private:
  struct Handle {
    uint64_t offset = 0;
    uint64_t size = 0;  // without the block's trailer
  };
  struct IndexEntry {
    std::string last_key;  // at least every key of the block
    Handle handle;
  };
  explicit TableReader(std::unique_ptr<RandomAccessFile> file) : file_(std::move(file)) {}
  Status read_index();
  StatusOr<Handle> take_handle(std::string_view& bytes) const;
  StatusOr<std::string> read_block(const Handle& handle) const;
  StatusOr<std::string> uncompress(std::string_view block, const Handle& handle) const;
  Status scan_block(std::string_view block,
                    FunctionRef<Status(std::string_view, std::string_view)> visit) const;
  Status corrupt(std::string_view what) const;

  std::unique_ptr<RandomAccessFile> file_;
  std::vector<IndexEntry> blocks_;
};

// Builds the bytes of a table, uncompressed blocks, as TensorFlow's own writer lays them out.
class TableBuilder {
 public:
  // `key` must be above the last one.
  Status add(std::string_view key, std::string_view value);
  std::string finish() &&;

 private:
  struct Block {
    explicit Block(int interval) : restart_interval(interval) {}
    void add(std::string_view key, std::string_view value);
    // The block with its restart offsets; the Block is empty afterwards.
    std::string finish();

    int restart_interval;
    int since_restart = 0;
    std::string bytes;
    std::vector<uint32_t> restarts{0};
    std::string last_key;
  };
  // Appends block and trailer to the file and returns its encoded handle.
  std::string write_block(Block& block);
  void end_data_block(std::string_view separator);

  std::string file_;
  std::string last_key_;
  bool empty_ = true;
  std::string pending_handle_;  // of a block whose separator needs the next key
  Block data_{16};
  Block index_{1};
};

}  // namespace tenon
