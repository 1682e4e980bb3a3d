// Every kernel that splits its work gives the same bits for a team of any size.
#include "tenon/core/dtype.h"
#include "tenon/kernels/kernel_testing.h"
#include "tenon/kernels/matmul.h"
#include "tenon/kernels/norm.h"
#include "tenon/kernels/optimizer.h"
#include "tenon/kernels/philox.h"
#include "tenon/kernels/pool.h"
#include "tenon/kernels/reduce.h"
#include "tenon/kernels/softmax.h"

namespace tenon::kernels {
namespace {

// `compute` returns all that it computes.
template <class Compute>
void expect_same_for_any_team(Compute compute) {
  const std::vector<float> alone = compute();
  for (int threads : {2, 3, 8, 32}) {
    const ScopedTeam team(threads);
    EXPECT_TRUE(same_bits(alone, compute())) << threads << " threads";
  }
}

std::vector<float> values(int64_t count) { return std::vector<float>(static_cast<size_t>(count)); }

TEST(AnyTeam, Reductions) {
  const int64_t shapes[][2] = {{40'001, 7}, {513, 300}, {7, 40'001}, {33, 128}};
  for (const auto& [rows, columns] : shapes) {
    const auto x = random_floats(rows * columns, 1);
    for (const bool first : {true, false}) {
      for (ReduceOp op :
           {ReduceOp::kSum, ReduceOp::kMean, ReduceOp::kMax, ReduceOp::kEuclideanNorm}) {
        const bool reduced[] = {first, !first};
        const ReducePlan plan = plan_reduce(Shape{rows, columns}, reduced);
        expect_same_for_any_team([&] {
          auto y = values(plan.output_count);
          EXPECT_TRUE(reduce(op, DType::kFloat, plan, x.data(), y.data()));
          return y;
        });
      }
    }
  }
}

TEST(AnyTeam, SoftmaxAndNormalisation) {
  const int64_t rows = 1003, columns = 90;
  const auto x = random_floats(rows * columns, 1);
  const auto dy = random_floats(rows * columns, 2);
  const auto scale = random_floats(columns, 3);
  expect_same_for_any_team([&] {
    auto y = values(rows * columns);
    softmax(rows, columns, x.data(), y.data());
    softmax_gradient(rows, columns, y.data(), dy.data(), y.data());
    return y;
  });
  expect_same_for_any_team([&] {
    auto y = values(rows * columns), mean = values(columns), variance = values(columns);
    auto dx = values(rows * columns), d_scale = values(columns), d_offset = values(columns);
    auto factors = values(batch_norm_factors(columns));
    const BatchNorm norm{rows, columns, 1e-3f, scale.data(), mean.data(), variance.data()};
    batch_norm_training(norm, x.data(), scale.data(), y.data(), mean.data(), variance.data(),
                        factors.data());
    batch_norm_training_gradient(norm, dy.data(), x.data(), dx.data(), d_scale.data(),
                                 d_offset.data(), factors.data());
    for (const auto& more : {mean, variance, dx, d_scale, d_offset}) {
      y.insert(y.end(), more.begin(), more.end());
    }
    return y;
  });
  expect_same_for_any_team([&] {
    auto y = values(rows * columns);
    layer_norm(rows, columns, x.data(), scale.data(), nullptr, 1e-3f, y.data());
    return y;
  });
}

TEST(AnyTeam, OptimizersAndRandomNumbers) {
  const int64_t count = 100'003;
  const auto g = random_floats(count, 1);
  expect_same_for_any_team([&] {
    auto w = random_floats(count, 2), m = random_floats(count, 3), v = random_floats(count, 4, 0);
    apply_adam<float>(
        count, {.alpha = 0.1f, .one_minus_beta1 = 0.1f, .one_minus_beta2 = 0.01f, .epsilon = 1e-7f},
        g.data(), w.data(), m.data(), v.data(), nullptr);
    w.insert(w.end(), m.begin(), m.end());
    w.insert(w.end(), v.begin(), v.end());
    return w;
  });
  const Philox generator = Philox::from_key_counter(7, 1, 2);
  expect_same_for_any_team([&] {
    auto y = values(3 * count);
    fill_uniform<float>(generator, count, y.data());
    fill_normal<float>(generator, count, y.data() + count);
    fill_truncated_normal<float>(generator, count, y.data() + 2 * count);
    return y;
  });
}

TEST(AnyTeam, Pooling) {
  for (int64_t batch : {1, 5}) {
    PoolSpec s;
    s.batch = batch;
    s.channels = 40;
    for (size_t i = 0; i < 2; ++i) {
      s.input[i] = 31;
      s.output[i] = 16;
      s.window[i] = 3;
      s.stride[i] = 2;
      s.pad_before[i] = 1;
    }
    const int64_t inputs = batch * 31 * 31 * 40, outputs = batch * 16 * 16 * 40;
    const auto x = random_floats(inputs, 1);
    const auto dy = random_floats(outputs, 2);
    expect_same_for_any_team([&] {
      auto y = values(outputs), average = values(outputs);
      auto dx = values(inputs), d_average = values(inputs);
      max_pool(s, x.data(), y.data());
      max_pool_gradient(s, x.data(), y.data(), dy.data(), dx.data());
      average_pool(s, x.data(), average.data());
      average_pool_gradient(s, dy.data(), d_average.data());
      for (const auto& more : {average, dx, d_average}) y.insert(y.end(), more.begin(), more.end());
      return y;
    });
  }
}

TEST(AnyTeam, Products) {
  const int64_t sizes[][3] = {{1, 784, 700}, {67, 128, 40}, {300, 300, 1030}, {3, 2000, 17}};
  for (const auto& [m, k, n] : sizes) {
    const auto a = random_floats(m * k, 1);
    const auto b = random_floats(k * n, 2);
    for (Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
      for (const bool transposed : {false, true}) {
        MatMulSpec spec{.m = m, .k = k, .n = n, .precision = precision};
        spec.transpose_a = spec.transpose_b = transposed;
        expect_same_for_any_team([&, values_of_y = m * n] {
          auto y = values(values_of_y);
          const auto product = MatMul::make(spec);
          AlignedBytes scratch(product->scratch_bytes());
          product->run({.a = a.data(), .b = b.data(), .y = y.data()}, scratch.get());
          return y;
        });
      }
    }
  }
}

}  // namespace
}  // namespace tenon::kernels
