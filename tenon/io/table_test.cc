#include "tenon/io/table.h"

#include <snappy.h>

#include "tenon/base/wire.h"
#include "tenon/io/bytes.h"
#include "tenon/io/crc32c.h"

namespace tenon {
namespace {

using TableEntries = std::vector<std::pair<std::string, std::string>>;

StatusOr<TableEntries> read_table(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const TableReader table, TableReader::open(path));
  TableEntries entries;
  TENON_RETURN_IF_ERROR(table.scan([&](std::string_view key, std::string_view value) {
    entries.emplace_back(key, value);
    return absl::OkStatus();
  }));
  return entries;
}

StatusOr<std::string> build_table(const TableEntries& entries) {
  TableBuilder builder;
  for (const auto& [key, value] : entries) TENON_RETURN_IF_ERROR(builder.add(key, value));
  return std::move(builder).finish();
}

// What TensorFlow wrote, read and built again, is TensorFlow's file byte for byte.
TEST(Table, BuildsTheFilesThatTensorFlowWrote) {
  const std::string folder = TENON_SOURCE_DIR "/../shared/cases/models/";
  const std::vector<std::string> cases = *list_directory(folder);
  int tables = 0;
  for (const std::string& name : cases) {
    const std::string path = cat(folder, name, "/1/variables/variables.index");
    if (!path_exists(path)) continue;
    auto entries = read_table(path);
    ASSERT_TRUE(entries.ok()) << entries.status();
    EXPECT_EQ(*build_table(*entries), *read_file(path)) << name;
    ++tables;
  }
  EXPECT_GT(tables, 50);
}

TEST(Table, FindsKeysInTablesOfManyBlocks) {
  TableEntries entries;
  for (int i = 0; i < 3000; ++i) {
    entries.emplace_back(cat("key", 10000 + i), std::string(static_cast<size_t>(i) % 1000, 'v'));
  }
  auto folder = TemporaryDirectory::create();
  const std::string path = join_path(folder->path(), "table");
  ASSERT_TRUE(write_file(path, *build_table(entries)).ok());
  EXPECT_EQ(*read_table(path), entries);
  auto table = TableReader::open(path);
  ASSERT_TRUE(table.ok()) << table.status();
  for (size_t i = 0; i < entries.size(); i += 37) {
    EXPECT_EQ(*table->find(entries[i].first), entries[i].second);
  }
  for (const char* missing : {"", "a", "key10000x", "key13000", "z"}) {
    EXPECT_TRUE(absl::IsNotFound(table->find(missing).status())) << missing;
  }
  EXPECT_FALSE(build_table({{"b", ""}, {"a", ""}}).ok());
}

// A table of one block, compressed by libsnappy as older TensorFlow versions did.
std::string snappy_table(std::string_view data_block, size_t claimed_ratio = 0) {
  std::string file;
  const auto append_block = [&](std::string block, char type) {
    std::string handle;
    append_varint(handle, file.size());
    append_varint(handle, block.size());
    block += type;
    const uint32_t crc = mask_crc(crc32c(block));
    file += block;
    append_le(file, crc);
    return handle;
  };
  std::string compressed;
  snappy::Compress(data_block.data(), data_block.size(), &compressed);
  if (claimed_ratio > 0) {
    compressed.clear();
    append_varint(compressed, claimed_ratio);
    compressed += "xx";
  }
  const std::string data_handle = append_block(compressed, 1);
  const std::string empty_block("\0\0\0\0\1\0\0\0", 8);
  std::string footer = append_block(empty_block, 0);
  std::string index("\0\1", 2);
  index += static_cast<char>(data_handle.size());
  index += "z" + data_handle + empty_block;
  footer += append_block(index, 0);
  footer.resize(40, '\0');
  append_le(footer, uint64_t{0xdb4775248b80fb57});
  return file + footer;
}

TEST(Table, ReadsBlocksThatSnappyCompressed) {
  TableEntries entries;
  for (int i = 0; i < 100; ++i) entries.emplace_back(cat("key", 100 + i), std::string(200, 'v'));
  const std::string plain = *build_table(entries);
  // The data block is what stands before the first block trailer; its size is in the index.
  const size_t metaindex = plain.find(std::string("\0\0\0\0\1\0\0\0\0", 9), 20000);
  auto folder = TemporaryDirectory::create();
  const std::string path = join_path(folder->path(), "table");
  ASSERT_TRUE(write_file(path, snappy_table(plain.substr(0, metaindex - 5))).ok());
  auto read = read_table(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, entries);
  ASSERT_TRUE(write_file(path, snappy_table("", 1u << 31)).ok());
  EXPECT_EQ(read_table(path).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tenon
