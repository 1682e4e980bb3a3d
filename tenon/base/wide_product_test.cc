#include "tenon/base/wide_product.h"

#include <gtest/gtest.h>

#include <limits>

namespace tenon {
namespace {

TEST(WideProduct, IsTheOneOf128Bits) {
  using Wide = __int128;
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  constexpr int32_t kMost32 = std::numeric_limits<int32_t>::max();
  const int64_t xs[] = {0, 1, -1, 77, -12345678901, 0xffffffff, -0x100000000, kMost, -kMost - 1};
  const int32_t ys[] = {0, 1, -1, 1 << 30, -123456789, kMost32, -kMost32 - 1};
  for (const int64_t x : xs) {
    for (const int32_t y : ys) {
      for (int shift = 1; shift <= 94; ++shift) {
        const Wide whole = (Wide{x} * y + (Wide{1} << (shift - 1))) >> shift;
        EXPECT_EQ(rounded_product(x, y, shift), static_cast<uint64_t>(whole))
            << x << " * " << y << " >> " << shift;
      }
    }
  }
}

}  // namespace
}  // namespace tenon
