#include <gtest/gtest.h>

#include "tenon/ops/register_all.h"

namespace {

// Layers infer their shapes by ops: all tests of keras/ need them.
class RegisterOps : public testing::Environment {
  void SetUp() override { ASSERT_TRUE(tenon::register_all_ops(tenon::OpRegistry::global()).ok()); }
};
[[maybe_unused]] const auto* const kRegisterOps =
    testing::AddGlobalTestEnvironment(new RegisterOps);

}  // namespace
