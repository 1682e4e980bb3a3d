// What the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include "tenon/lite/lite.h"
#include "tenon/ops/register_all.h"
#include "tenon/saved_model/other_formats.h"

namespace tenon::lite {

// All ops and the reader of `.tflite`, once.
inline void register_lite() {
  static const Status status = register_all_ops(OpRegistry::global());
  ASSERT_TRUE(status.ok()) << status;
  set_lite_reader(saved_model_of);
}

}  // namespace tenon::lite
