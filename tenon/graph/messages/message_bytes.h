// MessageBytes: serialized messages that views look into.
#pragma once

#include <string>
#include <string_view>

namespace tenon {

class MessageBytes {
 public:
  explicit MessageBytes(std::string bytes) : bytes_(std::move(bytes)) {}
  MessageBytes(const MessageBytes&) = delete;
  MessageBytes& operator=(const MessageBytes&) = delete;

  std::string_view view() const { return bytes_; }

  // Gives the memory of `piece`, a part of view() that nobody is going to read again, back to the
  // system. Nobody may read it at the same time.
  void forget(std::string_view piece);

 private:
  std::string bytes_;
};

}  // namespace tenon
