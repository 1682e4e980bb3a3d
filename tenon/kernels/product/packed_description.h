// What a PackedLayout says. Private to this folder.
#pragma once

#include "tenon/core/precision.h"
#include "tenon/kernels/packed_layout.h"

namespace tenon::kernels {

struct OneDnnLayout;  // onednn/onednn_common.h

struct PackedLayout::Description {
  std::string name;
  size_t bytes = 0;
  Precision precision = Precision::kFloat32;
  std::shared_ptr<const OneDnnLayout> onednn = nullptr;  // of oneDNN's layouts; null: ours
  bool winograd = false;  // a transformed filter (convolution/winograd.h)
};

}  // namespace tenon::kernels
