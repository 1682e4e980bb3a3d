#include <gtest/gtest.h>

#include "tenon/ops/register_all.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const tenon::Status registered = tenon::register_all_ops(tenon::OpRegistry::global());
  if (!registered.ok()) {
    fprintf(stderr, "%s\n", registered.ToString().c_str());
    return 1;
  }
  return RUN_ALL_TESTS();
}
