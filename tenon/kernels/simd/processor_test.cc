#include "tenon/kernels/processor.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tenon/base/strings.h"

namespace tenon::kernels {
namespace {

// The log of a test run says for which processors it speaks.
TEST(Processor, SaysWhichLevelsItLacks) {
  std::string lacking;
  for (const std::string& level : missing_instruction_levels()) {
    lacking += lacking.empty() ? level : ", " + level;
  }
  std::printf("levels that this processor lacks: %s\n", lacking.empty() ? "none" : lacking.c_str());
  RecordProperty("lacking", lacking);
  const char* const limit = std::getenv("TENON_MAX_ISA");
  if (limit && std::string(limit) == "avx2") {
    EXPECT_TRUE(lacking.ends_with("AVX-512, AVX-512 VNNI, AVX-512 bfloat16, AMX")) << lacking;
  }
  if (limit && std::string(limit) == "baseline") {
    EXPECT_EQ(lacking, "AVX2, AVX-512, AVX-512 VNNI, AVX-512 bfloat16, AMX");
  }
}

}  // namespace
}  // namespace tenon::kernels
