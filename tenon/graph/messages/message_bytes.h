// MessageBytes: serialized messages that views look into.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/files.h"

namespace tenon {

class MessageBytes {
 public:
  explicit MessageBytes(std::string bytes) : bytes_(std::move(bytes)), view_(bytes_) {}
  ~MessageBytes();
  MessageBytes(const MessageBytes&) = delete;
  MessageBytes& operator=(const MessageBytes&) = delete;

  // A SavedModel's file but for the contents of large tensors, which stay in the file until they
  // are loaded: so no more than one of them is in memory twice. RESOURCE_EXHAUSTED beyond `limit`.
  static StatusOr<std::shared_ptr<MessageBytes>> read_saved_model(const std::string& path,
                                                                  uint64_t limit);

  std::string_view view() const { return view_; }

  // Reads what of `piece`, a part of view(), is still in the file. Nobody may read it meanwhile.
  Status load(std::string_view piece);

  // Gives the memory of `piece`, a part of view() that nobody is going to read again, back to the
  // system. Nobody may read it at the same time.
  void forget(std::string_view piece);

 private:
  friend class SparseReader;
  struct Hole {
    uint64_t begin;
    uint64_t size;
  };

  std::string bytes_;
  std::string_view view_;  // of bytes_, or of memory of its own
  void* mapped_ = nullptr;
  std::unique_ptr<RandomAccessFile> file_;
  std::vector<Hole> holes_;  // in order
};

}  // namespace tenon
