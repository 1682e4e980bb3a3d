// Ops on levels beside plain loops in 64 bits: pools, sums, conversions. (Products of levels:
// kernels/levels/level_conv_test.cc.)
#include <gtest/gtest.h>

#include <random>

#include "tenon/graph/builder.h"
#include "tenon/graph/function_library.h"
#include "tenon/kernels/levels/level_testing.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

using kernels::highest_level;
using kernels::lowest_level;

constexpr DType kLevelDtypes[] = {DType::kInt8, DType::kUint8, DType::kInt16};

Tensor level_tensor(DType dtype, const Shape& shape, const std::vector<int64_t>& values) {
  Tensor tensor(dtype, shape);
  const std::vector<char> stored = kernels::stored_levels(dtype, values);
  std::memcpy(tensor.mutable_raw(), stored.data(), tensor.num_bytes());
  return tensor;
}

std::vector<int64_t> drawn_levels(DType dtype, int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int64_t> any(lowest_level(dtype), highest_level(dtype));
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (int64_t& value : values) value = any(random);
  return values;
}

StatusOr<Tensor> result_of(std::string_view op, std::vector<Tensor> inputs, AttrMap attrs) {
  if (!OpRegistry::global().find("_LiteSum")) {
    TENON_RETURN_IF_ERROR(register_all_ops(OpRegistry::global()));
  }
  Graph graph(std::make_shared<FunctionLibrary>());
  GraphBuilder b(graph);
  std::vector<Endpoint> ends;
  for (Tensor& input : inputs) ends.push_back(b.constant(std::move(input)));
  graph.results.push_back(b.op(op, std::move(ends), std::move(attrs)));
  graph.result_names = {"y"};
  TENON_RETURN_IF_ERROR(b.status());
  TENON_ASSIGN_OR_RETURN(auto executable,
                         Executable::create(std::move(graph), std::make_shared<ModelState>()));
  std::vector<Tensor> results;
  TENON_RETURN_IF_ERROR(executable->run({}, results));
  return results.at(0);
}

void expect_levels(const StatusOr<Tensor>& got, DType dtype, const std::vector<int64_t>& want,
                   const std::string& what) {
  ASSERT_TRUE(got.ok()) << what << ": " << got.status();
  const std::vector<char> stored = kernels::stored_levels(dtype, want);
  ASSERT_EQ(got->num_bytes() + 1, stored.size()) << what;
  ASSERT_EQ(std::memcmp(got->raw(), stored.data(), got->num_bytes()), 0) << what;
}

struct PlainPool {
  int64_t batch, size, channels, window, stride, before, output;

  int64_t value(const std::vector<int64_t>& x, bool average, int64_t lowest, int64_t image,
                int64_t row, int64_t column, int64_t channel) const {
    int64_t sum = 0, most = lowest, count = 0;
    for (int64_t i = row * stride - before; i < row * stride - before + window; ++i) {
      for (int64_t j = column * stride - before; j < column * stride - before + window; ++j) {
        if (i < 0 || i >= size || j < 0 || j >= size) continue;
        const int64_t level =
            x[static_cast<size_t>(((image * size + i) * size + j) * channels + channel)];
        sum += level;
        most = std::max(most, level);
        ++count;
      }
    }
    if (!average) return most;
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
  }
};

TEST(LevelOps, PoolsAsPlainLoops) {
  for (const DType dtype : kLevelDtypes) {
    for (const int64_t channels : {1, 7, 33}) {
      for (const int64_t window : {1, 2, 3, 9}) {
        for (const bool same : {false, true}) {
          constexpr int64_t kSize = 9;
          const int64_t stride = window == 9 ? 4 : 2;
          const int64_t output =
              same ? (kSize + stride - 1) / stride : (kSize - window) / stride + 1;
          const int64_t padding = std::max<int64_t>((output - 1) * stride + window - kSize, 0);
          const PlainPool pool{2, kSize, channels, window, stride, same ? padding / 2 : 0, output};
          const Shape shape{2, kSize, kSize, channels};
          const auto x = drawn_levels(dtype, shape.num_elements(), 3);
          for (const bool average : {false, true}) {
            const int64_t low = lowest_level(dtype) + 20, high = highest_level(dtype) - 10;
            std::vector<int64_t> want;
            for (int64_t at = 0; at < 2 * output * output * channels; ++at) {
              const int64_t cell = at / channels;
              const int64_t value =
                  pool.value(x, average, lowest_level(dtype), cell / output / output,
                             cell / output % output, cell % output, at % channels);
              want.push_back(std::clamp(value, low, high));
            }
            expect_levels(result_of(average ? "_LiteAvgPool" : "_LiteMaxPool",
                                    {level_tensor(dtype, shape, x)},
                                    {{"ksize", std::vector<int64_t>{window, window}},
                                     {"strides", std::vector<int64_t>{stride, stride}},
                                     {"padding", std::string(same ? "SAME" : "VALID")},
                                     {"low", low},
                                     {"high", high}}),
                          dtype, want, cat(dtype, " by ", window, ", ", channels, " channels"));
          }
        }
      }
    }
  }
}

TEST(LevelOps, SumsOverAnyAxes) {
  const int64_t sizes[] = {3, 5, 17};
  const Shape shape{sizes[0], sizes[1], sizes[2]};
  for (const DType dtype : kLevelDtypes) {
    const auto x = drawn_levels(dtype, shape.num_elements(), 5);
    for (int axes = 0; axes < 8; ++axes) {
      std::vector<int32_t> reduced;
      int64_t outputs = 1, count = 1;
      for (int axis = 0; axis < 3; ++axis) {
        if (axes >> axis & 1) reduced.push_back(axis);
        (axes >> axis & 1 ? count : outputs) *= sizes[axis];
      }
      std::vector<int64_t> sums(static_cast<size_t>(outputs), 0), want;
      for (int64_t i = 0; i < shape.num_elements(); ++i) {
        const int64_t at[] = {i / 85, i / 17 % 5, i % 17};
        int64_t place = 0;
        for (int axis = 0; axis < 3; ++axis) {
          if (!(axes >> axis & 1)) place = place * sizes[axis] + at[axis];
        }
        sums[static_cast<size_t>(place)] += x[static_cast<size_t>(i)];
      }
      for (const int64_t sum : sums) {
        const auto scaled = kernels::scaled_twice(sum - 3 * count, 1717986918, -3);
        want.push_back(std::clamp(static_cast<int64_t>(scaled) - 2, lowest_level(dtype),
                                  highest_level(dtype)));
      }
      expect_levels(result_of("_LiteSum",
                              {level_tensor(dtype, shape, x),
                               Tensor::vector<int32_t>(std::span<const int32_t>(reduced))},
                              {{"mean", false},
                               {"multipliers", std::vector<int64_t>{1717986918}},
                               {"shifts", std::vector<int64_t>{-3}},
                               {"zero_points", std::vector<int64_t>{3, -2}},
                               {"low", lowest_level(dtype)},
                               {"high", highest_level(dtype)}}),
                    dtype, want, cat(dtype, " over axes ", axes));
    }
  }
}

TEST(LevelOps, Requantises) {
  for (const DType from : {DType::kInt8, DType::kUint8, DType::kInt16}) {
    for (const DType to : kLevelDtypes) {
      std::vector<int64_t> x, want;
      for (int64_t level = lowest_level(from); level <= highest_level(from); ++level) {
        x.push_back(level);
        const auto scaled = kernels::scaled_twice(level + 4, 1288490189, 1);
        want.push_back(
            std::clamp(static_cast<int64_t>(scaled) + 9, lowest_level(to), highest_level(to)));
      }
      const auto count = static_cast<int64_t>(x.size());
      expect_levels(result_of("_LiteRequantize", {level_tensor(from, Shape{count}, x)},
                              {{"U", to},
                               {"multipliers", std::vector<int64_t>{1288490189}},
                               {"shifts", std::vector<int64_t>{1}},
                               {"zero_points", std::vector<int64_t>{-4, 9}},
                               {"low", lowest_level(to)},
                               {"high", highest_level(to)}}),
                    to, want, cat(from, " to ", to));
    }
  }
}

// Halves go away from zero; what is beyond the levels, or no number, is the nearest, or the lowest.
TEST(LevelOps, QuantisesAtHalvesAndEnds) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {0.25F,   -0.25F,    0.75F,      -0.75F,       0.24999999F,
                                -0.0F,   1e30F,     -1e30F,     63.25F,       63.5F,
                                -64.25F, kInfinity, -kInfinity, std::nanf("")};
  const std::vector<int64_t> want = {1,    -1,  2,   -2,   0,   0,    127,
                                     -128, 127, 127, -128, 127, -128, -128};
  expect_levels(result_of("_LiteQuantize", {Tensor::vector<float>(std::span<const float>(x))},
                          {{"T", DType::kInt8},
                           {"scales", std::vector<float>{0.5F}},
                           {"zero_points", std::vector<int64_t>{0}}}),
                DType::kInt8, want, "quantised");
}

TEST(LevelOps, DequantisesByChannel) {
  const std::vector<float> scales = {0.1F, 3e-38F, 1e36F};
  const std::vector<int64_t> zeros = {-128, 5, 100};
  const auto x = drawn_levels(DType::kInt8, 24, 8);
  const auto got = result_of("_LiteDequantize", {level_tensor(DType::kInt8, Shape{4, 3, 2}, x)},
                             {{"scales", scales}, {"zero_points", zeros}, {"axis", int64_t{1}}});
  ASSERT_TRUE(got.ok()) << got.status();
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t channel = i / 2 % 3;
    const double real = double{scales[channel]} * static_cast<double>(x[i] - zeros[channel]);
    EXPECT_EQ(got->data<float>()[i], static_cast<float>(real)) << i;
  }
}

}  // namespace
}  // namespace tenon
