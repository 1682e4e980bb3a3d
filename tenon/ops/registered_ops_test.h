// For tests of graphs: all ops, registered once a process.
#pragma once

#include "tenon/ops/register_all.h"

namespace tenon {

inline const Status& registered_ops() {
  static const Status status = register_all_ops(OpRegistry::global());
  return status;
}

}  // namespace tenon
