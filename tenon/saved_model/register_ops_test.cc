#include "tenon/saved_model/register_ops_test.h"

#include "tenon/ops/register_all.h"

namespace tenon {

const Status& register_test_ops() {
  static const Status status = register_all_ops(OpRegistry::global());
  return status;
}

}  // namespace tenon
