// What the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include "tenon/lite/lite.h"
#include "tenon/ops/registered_ops_test.h"
#include "tenon/saved_model/other_formats.h"

namespace tenon::lite {

// All ops and the reader of `.tflite`, once.
inline void register_lite() {
  ASSERT_TRUE(registered_ops().ok()) << registered_ops();
  set_lite_reader(saved_model_of);
}

}  // namespace tenon::lite
