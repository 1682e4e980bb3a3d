#include "tenon/kernels/packed_layout.h"

#include "tenon/kernels/product/packed_description.h"

namespace tenon::kernels {

size_t PackedLayout::bytes() const { return description_ ? description_->bytes : 0; }

std::string PackedLayout::name() const { return description_ ? description_->name : "plain"; }

bool PackedLayout::same(const PackedLayout& a, const PackedLayout& b) {
  return a.description_ == b.description_ || a.name() == b.name();
}

}  // namespace tenon::kernels
