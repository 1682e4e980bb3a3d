// What a PackedLayout says. Private to this folder.
#pragma once

#include "tenon/core/precision.h"
#include "tenon/kernels/packed_layout.h"

namespace tenon::kernels {

struct PackedLayout::Description {
  std::string name;
  size_t bytes = 0;
  Precision precision = Precision::kFloat32;  // that they are multiplied in
  bool winograd = false;                      // a transformed filter (convolution/winograd.h)
};

}  // namespace tenon::kernels
