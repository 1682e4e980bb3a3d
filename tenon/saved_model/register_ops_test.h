// The ops of the tests of this folder, registered once, by whoever comes first.
#pragma once

#include "tenon/ops/register_all.h"

namespace tenon {

inline const Status& register_test_ops() {
  static const Status status = register_all_ops(OpRegistry::global());
  return status;
}

}  // namespace tenon
