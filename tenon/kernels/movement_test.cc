// Transposition, strided copies, gather, scatter, one-hot, running sums and casts.
#include <array>
#include <limits>
#include <numeric>

#include "tenon/kernels/cast.h"
#include "tenon/kernels/gather.h"
#include "tenon/kernels/kernel_testing.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/kernels/transpose.h"

namespace tenon::kernels {
namespace {

TEST(Transpose, MovesEveryElementForEveryPermutation) {
  for (int threads : {1, 2}) {
    const ScopedTeam team(threads);
    const Shape shape{3, 17, 5, 40};
    std::array<int, 4> permutation{0, 1, 2, 3};
    std::vector<uint16_t> x(static_cast<size_t>(shape.num_elements()));
    std::iota(x.begin(), x.end(), uint16_t{0});
    do {
      std::vector<uint16_t> y(x.size()), want;
      transpose(2, shape, permutation, x.data(), y.data());
      const Dims strides = contiguous_strides(shape.dims());
      for (int64_t i = 0; i < shape.num_elements(); ++i) {
        int64_t rest = i, from = 0;
        for (size_t axis = 4; axis-- > 0;) {
          const int source = permutation[axis];
          from += rest % shape[source] * strides[static_cast<size_t>(source)];
          rest /= shape[source];
        }
        want.push_back(x[static_cast<size_t>(from)]);
      }
      ASSERT_EQ(y, want);
    } while (std::next_permutation(permutation.begin(), permutation.end()));
  }
}

TEST(StridedCopy, ReversesAndSpreads) {
  const std::vector<int32_t> x{1, 2, 3, 4, 5, 6};
  std::vector<int32_t> y(6, 0);
  run({.dims = {2, 3}, .source_strides = {3, -1}, .target_strides = {3, 1}}, 4, x.data() + 2,
      y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{3, 2, 1, 6, 5, 4}));
  run({.dims = {2, 3}, .source_strides = {0, 0}, .target_strides = {1, 2}}, 4, x.data() + 4,
      y.data());
  EXPECT_EQ(y, (std::vector<int32_t>(6, 5)));
  ASSERT_TRUE(run_add({.dims = {3}, .source_strides = {2}, .target_strides = {1}}, DType::kInt32,
                      x.data(), y.data()));
  EXPECT_EQ(y, (std::vector<int32_t>{6, 8, 10, 5, 5, 5}));
}

TEST(Concat, AndSplitAreInverse) {
  const std::vector<int32_t> a{1, 2, 5, 6}, b{3, 7};
  std::vector<int32_t> y(6), a2(4), b2(2);
  const int64_t sizes[] = {2, 1};
  const void* in[] = {a.data(), b.data()};
  concat(4, 2, sizes, 1, in, y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{1, 2, 3, 5, 6, 7}));
  void* out[] = {a2.data(), b2.data()};
  split(4, 2, sizes, 1, y.data(), out);
  EXPECT_EQ(a2, a);
  EXPECT_EQ(b2, b);
}

TEST(Pad, SurroundsTheValues) {
  const std::vector<int32_t> x{1, 2, 3, 4};
  std::vector<int32_t> y(12);
  const int64_t before[] = {0, 1}, after[] = {1, 1};
  const int32_t value = 9;
  pad(4, Shape{2, 2}, before, after, x.data(), &value, y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{9, 1, 2, 9, 9, 3, 4, 9, 9, 9, 9, 9}));
}

TEST(Gather, ReadsRowsAndNamesTheFirstBadIndex) {
  const std::vector<float> x{1, 2, 3, 4, 5, 6};
  const int32_t indices[] = {2, 0};
  std::vector<float> y(4);
  EXPECT_EQ(gather<int32_t>(1, 3, 8, x.data(), indices, 2, y.data()), -1);
  EXPECT_EQ(y, (std::vector<float>{5, 6, 1, 2}));
  const int64_t bad[] = {0, -1, 3};
  EXPECT_EQ(gather<int64_t>(1, 3, 8, x.data(), bad, 3, y.data()), 1);
}

TEST(ScatterRows, AddsRepeatedIndicesInOrder) {
  for (int threads : {1, 2}) {
    const ScopedTeam team(threads);
    std::vector<float> x(2 * 100, 1.0f);
    const std::vector<float> updates(3 * 100, 2.0f);
    const int64_t indices[] = {1, 1, 0};
    EXPECT_EQ(scatter_rows<int64_t>(ScatterOp::kAdd, DType::kFloat, 2, 100, indices, 3,
                                    updates.data(), x.data()),
              -1);
    EXPECT_EQ(x[0], 3.0f);
    EXPECT_EQ(x[199], 5.0f);
    const int64_t bad[] = {0, 2};
    EXPECT_EQ(scatter_rows<int64_t>(ScatterOp::kUpdate, DType::kFloat, 2, 100, bad, 2,
                                    updates.data(), x.data()),
              1);
  }
}

TEST(OneHot, LeavesOutsideIndicesOff) {
  const int64_t indices[] = {1, -1, 5, 0};
  const float on = 1, off = 0;
  std::vector<float> y(12);
  one_hot<int64_t>(4, 4, 3, 1, indices, &on, &off, y.data());
  EXPECT_EQ(y, (std::vector<float>{0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}));
}

TEST(Cumulative, ExclusiveAndReverse) {
  const std::vector<int32_t> x{1, 2, 3, 4};
  std::vector<int32_t> y(4);
  cumulative_sum<int32_t>(1, 4, 1, false, false, x.data(), y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{1, 3, 6, 10}));
  cumulative_sum<int32_t>(1, 4, 1, true, true, x.data(), y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{9, 7, 4, 0}));
  cumulative_product<int32_t>(1, 2, 2, false, false, x.data(), y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{1, 2, 3, 8}));
}

template <class To, class From>
To cast_one(From x, bool truncate = false) {
  To y{};
  find_cast(dtype_of<From>, dtype_of<To>, truncate)(&x, &y, 1);
  return y;
}

TEST(Cast, FollowsTensorFlow) {
  EXPECT_EQ((cast_one<int32_t>(-2.7f)), -2);
  EXPECT_EQ((cast_one<int32_t>(3e9f)), std::numeric_limits<int32_t>::lowest());
  EXPECT_EQ((cast_one<int32_t>(NAN)), std::numeric_limits<int32_t>::lowest());
  EXPECT_EQ((cast_one<uint8_t>(255.9f)), 255);
  EXPECT_EQ((cast_one<uint64_t>(1e19)), uint64_t{10000000000000000000u});
  EXPECT_EQ((cast_one<bool>(0.5f)), true);
  EXPECT_EQ((cast_one<bool>(-0.0f)), false);
  EXPECT_EQ((cast_one<float>(true)), 1.0f);
  EXPECT_EQ((cast_one<int8_t>(int32_t{300})), 44);
  EXPECT_EQ((cast_one<bfloat16>(1.01f).bits), 0x3f81);
  EXPECT_EQ((cast_one<bfloat16>(1.999f, true).bits), 0x3fff);
  EXPECT_EQ((cast_one<float16>(65520.0f).bits), 0x7c00);
  EXPECT_EQ((cast_one<float16>(65519.0f, true).bits), 0x7bff);
  EXPECT_EQ((cast_one<float>(std::complex<float>(2, 3))), 2.0f);
  EXPECT_EQ(find_cast(DType::kString, DType::kFloat), nullptr);
}

}  // namespace
}  // namespace tenon::kernels
