// PackedLayout: how constant weights lie in memory once packed for a MatMul or a Convolution.
//
// Immutable and cheap to copy. It does not depend on the batch, so every Binding of a Plan shares
// one packed copy; for convolutions it may depend on the image size. Two layouts that compare equal
// describe interchangeable bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace tenon::kernels {

class PackedLayout {
 public:
  PackedLayout() = default;  // "plain": the framework's own row-major float32
  struct Description;        // private to the .cc files of this folder
  explicit PackedLayout(std::shared_ptr<const Description> description)
      : description_(std::move(description)) {}

  bool is_plain() const { return description_ == nullptr; }
  size_t bytes() const;  // of a packed buffer, which is 64-byte-aligned; 0 when plain
  // Equal for equal layouts, different for different ones: the key of a packed copy.
  std::string name() const;
  const Description* description() const { return description_.get(); }
  friend bool operator==(const PackedLayout& a, const PackedLayout& b) { return same(a, b); }

 private:
  static bool same(const PackedLayout& a, const PackedLayout& b);
  std::shared_ptr<const Description> description_;
};

}  // namespace tenon::kernels
