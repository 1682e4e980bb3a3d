#include "tenon/graph/messages/message_bytes.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace tenon {

// Walks along the fields of a file and reads what lies between the contents of large tensors.
class SparseReader {
 public:
  SparseReader(MessageBytes& bytes, char* memory)
      : bytes_(bytes), file_(*bytes.file_), memory_(memory), size_(bytes.file_->size()) {}

  Status run() {
    TENON_RETURN_IF_ERROR(scan(size_, Level::kSavedModel).status());
    // What is damaged the parser finds.
    return read_until(size_);
  }

 private:
  enum class Level : uint8_t {
    kSavedModel,
    kMetaGraph,
    kGraph,
    kLibrary,
    kFunction,
    kNode,
    kAttrEntry,
    kAttr,
    kTensor,
    kContent,
  };
  struct Field {
    Level level;
    uint64_t number;
    Level holds;
  };
  static constexpr Field kFields[] = {
      {Level::kSavedModel, 2, Level::kMetaGraph}, {Level::kMetaGraph, 2, Level::kGraph},
      {Level::kGraph, 1, Level::kNode},           {Level::kGraph, 2, Level::kLibrary},
      {Level::kLibrary, 1, Level::kFunction},     {Level::kFunction, 3, Level::kNode},
      {Level::kNode, 5, Level::kAttrEntry},       {Level::kAttrEntry, 2, Level::kAttr},
      {Level::kAttr, 8, Level::kTensor},          {Level::kTensor, 4, Level::kContent},
  };
  static constexpr uint64_t kLargeField = uint64_t{1} << 20;
  static constexpr uint64_t kPiece = uint64_t{256} << 10;

  // False where the bytes are no message.
  StatusOr<bool> scan(uint64_t end, Level level) {
    while (at_ < end) {
      uint64_t tag = 0, length = 0;
      TENON_ASSIGN_OR_RETURN(bool whole, varint(end, tag));
      if (whole && (tag & 7) != 1 && (tag & 7) != 5) {
        TENON_ASSIGN_OR_RETURN(whole, varint(end, length));
      }
      if (!whole) return false;
      switch (tag & 7) {
        case 0:
          continue;
        case 1:
          length = 8;
          break;
        case 2:
          break;
        case 5:
          length = 4;
          break;
        default:
          return false;
      }
      if (length > end - at_) return false;
      if (length < kLargeField) {
        at_ += length;
        continue;
      }
      TENON_ASSIGN_OR_RETURN(whole, skip(at_ + length, level, tag >> 3));
      if (!whole) return false;
    }
    return true;
  }

  // A large field that ends at `end`.
  StatusOr<bool> skip(uint64_t end, Level level, uint64_t number) {
    for (const Field& field : kFields) {
      if (field.level != level || field.number != number) continue;
      if (field.holds != Level::kContent) return scan(end, field.holds);
      bytes_.holes_.push_back({at_, end - at_});
      read_ = std::max(read_, end);
    }
    at_ = end;
    return true;
  }

  StatusOr<bool> varint(uint64_t end, uint64_t& value) {
    constexpr uint64_t kLongest = 10;
    TENON_RETURN_IF_ERROR(read_until(std::min(at_ + kLongest, size_)));
    for (int shift = 0; shift < 64 && at_ < end; shift += 7) {
      const auto byte = static_cast<uint8_t>(memory_[at_++]);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  Status read_until(uint64_t end) {
    if (end <= read_) return absl::OkStatus();
    end = std::min(std::max(end, read_ + kPiece), size_);
    TENON_RETURN_IF_ERROR(file_.read(read_, {memory_ + read_, static_cast<size_t>(end - read_)}));
    read_ = end;
    return absl::OkStatus();
  }

  MessageBytes& bytes_;
  const RandomAccessFile& file_;
  char* const memory_;
  const uint64_t size_;
  uint64_t at_ = 0;
  uint64_t read_ = 0;  // what lies before is in memory, or a hole
};

StatusOr<std::shared_ptr<MessageBytes>> MessageBytes::read_saved_model(const std::string& path,
                                                                       uint64_t limit) {
  constexpr uint64_t kReadWhole = uint64_t{16} << 20;
  TENON_ASSIGN_OR_RETURN(auto file, RandomAccessFile::open(path));
  const uint64_t size = file->size();
  if (size < kReadWhole || size > limit) {
    TENON_ASSIGN_OR_RETURN(std::string whole, read_file(path, limit));
    return std::make_shared<MessageBytes>(std::move(whole));
  }
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return resource_exhausted("out of memory: '", path, "' has ", size, " bytes");
  }
  auto bytes = std::make_shared<MessageBytes>(std::string());
  bytes->mapped_ = memory;
  bytes->view_ = {static_cast<const char*>(memory), static_cast<size_t>(size)};
  bytes->file_ = std::move(file);
  TENON_RETURN_IF_ERROR(SparseReader(*bytes, static_cast<char*>(memory)).run());
  return bytes;
}

MessageBytes::~MessageBytes() {
  if (mapped_) munmap(mapped_, view_.size());
}

Status MessageBytes::load(std::string_view piece) {
  if (holes_.empty()) return absl::OkStatus();
  const auto begin = static_cast<uint64_t>(piece.data() - view_.data());
  auto hole = std::lower_bound(holes_.begin(), holes_.end(), begin,
                               [](const Hole& each, uint64_t at) { return each.begin < at; });
  for (; hole != holes_.end() && hole->begin < begin + piece.size(); ++hole) {
    if (hole->size == 0) continue;  // it was read
    char* const memory = static_cast<char*>(mapped_) + hole->begin;
    TENON_RETURN_IF_ERROR(file_->read(hole->begin, {memory, static_cast<size_t>(hole->size)}));
    hole->size = 0;
  }
  return absl::OkStatus();
}

void MessageBytes::forget(std::string_view piece) {
  // Whole pages, which read as zeros afterwards. The memory is private: no file stands behind it.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(view_.data()) +
                     static_cast<uintptr_t>(piece.data() - view_.data());
  const uintptr_t begin = (start + page - 1) / page * page;
  const uintptr_t end = (start + piece.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace tenon
