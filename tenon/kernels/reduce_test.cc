#include "tenon/kernels/reduce.h"

#include <array>
#include <memory>

#include "tenon/kernels/bias.h"
#include "tenon/kernels/kernel_testing.h"

namespace tenon::kernels {
namespace {

// The result element that each input element goes to.
std::vector<size_t> targets(const Shape& shape, const std::vector<uint8_t>& reduced) {
  std::vector<size_t> result;
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    int64_t rest = i, target = 0, stride = 1;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const int64_t index = rest % shape[axis];
      rest /= shape[axis];
      if (reduced[static_cast<size_t>(axis)]) continue;
      target += index * stride;
      stride *= shape[axis];
    }
    result.push_back(static_cast<size_t>(target));
  }
  return result;
}

ReducePlan plan_of(const Shape& shape, const std::vector<uint8_t>& reduced) {
  std::array<bool, 8> flags{};
  std::copy(reduced.begin(), reduced.end(), flags.begin());
  return plan_reduce(shape, std::span<const bool>(flags.data(), reduced.size()));
}

TEST(Reduce, AgreesWithDoublePrecisionOverAnyAxes) {
  const struct {
    Shape shape;
    std::vector<uint8_t> reduced;
  } cases[] = {{{5}, {1}},
               {{1000}, {1}},
               {{64, 300}, {0, 1}},
               {{300, 64}, {1, 0}},
               {{700, 3}, {1, 0}},
               {{3, 4, 5}, {1, 0, 1}},
               {{3, 40, 5}, {0, 1, 0}},
               {{2, 3, 4, 5}, {1, 0, 0, 1}},
               {{2, 3, 4, 5}, {0, 1, 1, 0}},
               {{2, 3}, {0, 0}},
               {{}, {}},
               {{4, 300, 2, 200}, {1, 0, 1, 0}}};
  for (int threads : {1, 2}) {
    const ScopedTeam team(threads);
    for (const auto& c : cases) {
      SCOPED_TRACE(to_string(c.shape));
      const auto x = random_floats(c.shape.num_elements(), 1, 0.5f, 1.5f);
      const auto to = targets(c.shape, c.reduced);
      const ReducePlan plan = plan_of(c.shape, c.reduced);
      const auto outputs = static_cast<size_t>(plan.output_count);
      std::vector<double> sum(outputs, 0), most(outputs, -1e9), least(outputs, 1e9),
          squares(outputs, 0);
      for (size_t i = 0; i < x.size(); ++i) {
        const auto v = static_cast<double>(x[i]);
        sum[to[i]] += v;
        squares[to[i]] += v * v;
        most[to[i]] = std::max(most[to[i]], v);
        least[to[i]] = std::min(least[to[i]], v);
      }
      std::vector<double> mean = sum;
      for (double& m : mean) m /= static_cast<double>(plan.reduced_count);
      for (double& s : squares) s = std::sqrt(s);
      std::vector<float> y(outputs);
      const auto run = [&](ReduceOp op) {
        EXPECT_TRUE(reduce(op, DType::kFloat, plan, x.data(), y.data()));
        return y;
      };
      expect_close(run(ReduceOp::kSum), sum, 1e-6, 1e-6);
      expect_close(run(ReduceOp::kMean), mean, 1e-6, 1e-6);
      expect_close(run(ReduceOp::kMax), most, 0, 0);
      expect_close(run(ReduceOp::kMin), least, 0, 0);
      expect_close(run(ReduceOp::kEuclideanNorm), squares, 1e-6, 1e-6);
    }
  }
}

TEST(Reduce, SameBitsForAnyTeam) {
  const auto x = random_floats(300000, 3);
  for (const Shape& shape : {Shape{1000, 300}, Shape{5003, 33}}) {
    for (const std::vector<uint8_t>& reduced :
         {std::vector<uint8_t>{1, 0}, std::vector<uint8_t>{0, 1}, std::vector<uint8_t>{1, 1}}) {
      const ReducePlan plan = plan_of(shape, reduced);
      std::vector<float> one(static_cast<size_t>(plan.output_count)), two(one.size());
      reduce(ReduceOp::kSum, DType::kFloat, plan, x.data(), one.data());
      const ScopedTeam team(2);
      reduce(ReduceOp::kSum, DType::kFloat, plan, x.data(), two.data());
      EXPECT_TRUE(same_bits(one, two));
    }
  }
}

TEST(Reduce, IntegersBooleansAndEmptyInputs) {
  const int32_t x[] = {1, 2, 3, 4, 5, -9};
  const ReducePlan plan = plan_of({2, 3}, {0, 1});
  int32_t y[2];
  ASSERT_TRUE(reduce(ReduceOp::kProd, DType::kInt32, plan, x, y));
  EXPECT_EQ(y[0], 6);
  EXPECT_EQ(y[1], -180);
  const bool truth[] = {true, false, true, true, true, true};
  bool all[2], any[2];
  ASSERT_TRUE(reduce(ReduceOp::kAll, DType::kBool, plan, truth, all));
  ASSERT_TRUE(reduce(ReduceOp::kAny, DType::kBool, plan, truth, any));
  EXPECT_FALSE(all[0]);
  EXPECT_TRUE(all[1]);
  EXPECT_TRUE(any[0]);
  float empty[2] = {7, 7};
  const ReducePlan none = plan_of({2, 0}, {0, 1});
  ASSERT_TRUE(reduce(ReduceOp::kSum, DType::kFloat, none, nullptr, empty));
  EXPECT_EQ(empty[1], 0.0f);
  ASSERT_TRUE(reduce(ReduceOp::kMax, DType::kFloat, none, nullptr, empty));
  EXPECT_EQ(empty[1], -INFINITY);
  ASSERT_TRUE(reduce(ReduceOp::kMean, DType::kFloat, none, nullptr, empty));
  EXPECT_TRUE(std::isnan(empty[0]));
  EXPECT_FALSE(reduce(ReduceOp::kAll, DType::kFloat, plan, x, y));
}

TEST(Reduce, ExtremesOfAnyLengthAndNanAnywhere) {
  for (int64_t count = 1; count <= 40; ++count) {
    const ReducePlan plan = plan_of({count}, {1});
    const auto extreme = [&](ReduceOp op, const std::vector<float>& x) {
      float y = 0;
      EXPECT_TRUE(reduce(op, DType::kFloat, plan, x.data(), &y));
      return y;
    };
    // All of one sign, so that what stands beside the last element would be seen.
    for (const float low : {-2.0f, 1.0f}) {
      auto x = random_floats(count, 3, low, low + 1);
      EXPECT_EQ(extreme(ReduceOp::kMax, x), *std::max_element(x.begin(), x.end()));
      EXPECT_EQ(extreme(ReduceOp::kMin, x), *std::min_element(x.begin(), x.end()));
      for (float& element : x) {
        const float before = std::exchange(element, NAN);
        EXPECT_TRUE(std::isnan(extreme(ReduceOp::kMax, x)));
        EXPECT_TRUE(std::isnan(extreme(ReduceOp::kMin, x)));
        element = before;
      }
    }
  }
}

TEST(ArgMax, FirstOfEqualsWins) {
  const float x[] = {1, 3, 3, 2, 0, -1, -1, 5};
  int64_t y[2];
  arg_max<float, int64_t>(2, 4, 1, x, y);
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], 3);
  int32_t z[4];
  arg_min<float, int32_t>(1, 2, 4, x, z);
  EXPECT_EQ(z[0], 1);
  EXPECT_EQ(z[3], 0);
}

TEST(BiasAdd, AddsToEveryRowAndItsGradientSumsRows) {
  const std::vector<double> x{1, 2, 3, 4, 5, 6}, bias{10, 20, 30};
  std::vector<double> y(6), d(3);
  bias_add<double>(2, 3, x.data(), bias.data(), y.data());
  EXPECT_EQ(y, (std::vector<double>{11, 22, 33, 14, 25, 36}));
  column_sum<double>(2, 3, x.data(), d.data());
  EXPECT_EQ(d, (std::vector<double>{5, 7, 9}));
}

}  // namespace
}  // namespace tenon::kernels
