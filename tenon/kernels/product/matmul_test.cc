#include "tenon/kernels/matmul.h"

#include "tenon/kernels/elementwise.h"
#include "tenon/kernels/kernel_testing.h"

namespace tenon::kernels {
namespace {

std::vector<double> naive_product(int64_t m, int64_t k, int64_t n, const float* a, bool transpose_a,
                                  const float* b, bool transpose_b) {
  std::vector<double> y(static_cast<size_t>(m * n), 0.0);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t p = 0; p < k; ++p) {
        const double left = static_cast<double>(transpose_a ? a[p * m + i] : a[i * k + p]);
        const double right = static_cast<double>(transpose_b ? b[j * k + p] : b[p * n + j]);
        y[static_cast<size_t>(i * n + j)] += left * right;
      }
    }
  }
  return y;
}

std::vector<float> run_matmul(const MatMulSpec& spec, MatMulPointers pointers, int64_t count) {
  StatusOr<MatMul> product = MatMul::make(spec);
  EXPECT_TRUE(product.ok()) << product.status();
  std::vector<float> y(static_cast<size_t>(count), NAN);
  if (!product.ok()) return y;
  pointers.y = y.data();
  AlignedBytes scratch(product->scratch_bytes());
  product->run(pointers, scratch.get());
  return y;
}

TEST(MatMul, AgreesWithDoublePrecisionForEveryTransposition) {
  const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {32, 64, 10}, {37, 100, 33}, {1, 784, 128}};
  for (int threads : {1, 2}) {
    const ScopedTeam team(threads);
    for (const auto& [m, k, n] : sizes) {
      for (int transposed = 0; transposed < 4; ++transposed) {
        MatMulSpec spec{.m = m, .k = k, .n = n};
        spec.transpose_a = (transposed & 1) != 0;
        spec.transpose_b = (transposed & 2) != 0;
        const auto a = random_floats(m * k, 1);
        const auto b = random_floats(k * n, 2);
        const auto y = run_matmul(spec, {.a = a.data(), .b = b.data()}, m * n);
        expect_close(y,
                     naive_product(m, k, n, a.data(), spec.transpose_a, b.data(), spec.transpose_b),
                     1e-5, 2e-5);
      }
    }
  }
}

TEST(MatMul, BroadcastsBatches) {
  const int64_t m = 3, k = 4, n = 5;
  MatMulSpec spec{.m = m, .k = k, .n = n};
  spec.batch_a = {2, 1};
  spec.batch_b = {3};
  const auto a = random_floats(2 * m * k, 1);
  const auto b = random_floats(3 * k * n, 2);
  const auto y = run_matmul(spec, {.a = a.data(), .b = b.data()}, 6 * m * n);
  std::vector<double> want;
  for (int64_t i = 0; i < 6; ++i) {
    const auto one =
        naive_product(m, k, n, a.data() + i / 3 * m * k, false, b.data() + i % 3 * k * n, false);
    want.insert(want.end(), one.begin(), one.end());
  }
  expect_close(y, want, 1e-5, 1e-5);
}

TEST(MatMul, MultipliesEqualBatchesAndOneMatrixByMany) {
  const int64_t m = 6, k = 8, n = 4;
  for (int64_t b_batch : {1, 5}) {
    for (bool transpose_a : {false, true}) {
      MatMulSpec spec{.m = m, .k = k, .n = n, .transpose_a = transpose_a};
      spec.batch_a = {5};
      if (b_batch > 1) spec.batch_b = {b_batch};
      const auto a = random_floats(5 * m * k, 3);
      const auto b = random_floats(b_batch * k * n, 4);
      const auto y = run_matmul(spec, {.a = a.data(), .b = b.data()}, 5 * m * n);
      std::vector<double> want;
      for (int64_t i = 0; i < 5; ++i) {
        const auto one = naive_product(m, k, n, a.data() + i * m * k, transpose_a,
                                       b.data() + (b_batch > 1 ? i : 0) * k * n, false);
        want.insert(want.end(), one.begin(), one.end());
      }
      expect_close(y, want, 1e-5, 1e-5);
    }
  }
}

struct ActivationCase {
  Activation activation;
  UnaryOp op;
};

TEST(MatMul, AppliesBiasActivationAndResidualInOrder) {
  const int64_t m = 5, k = 16, n = 9;
  const auto a = random_floats(m * k, 1);
  const auto b = random_floats(k * n, 2);
  const auto bias = random_floats(n, 3);
  const auto residual = random_floats(m * n, 4);
  const ActivationCase cases[] = {
      {Activation::kRelu, UnaryOp::kRelu},         {Activation::kRelu6, UnaryOp::kRelu6},
      {Activation::kTanh, UnaryOp::kTanh},         {Activation::kSigmoid, UnaryOp::kSigmoid},
      {Activation::kElu, UnaryOp::kElu},           {Activation::kGeluErf, UnaryOp::kGeluErf},
      {Activation::kGeluTanh, UnaryOp::kGeluTanh}, {Activation::kSwish, UnaryOp::kSwish}};
  for (const ActivationCase& c : cases) {
    for (Residual place :
         {Residual::kNone, Residual::kBeforeActivation, Residual::kAfterActivation}) {
      MatMulSpec spec{.m = m, .k = k, .n = n};
      spec.post = {.bias = true, .activation = c.activation, .residual = place};
      const auto y = run_matmul(
          spec, {.a = a.data(), .b = b.data(), .bias = bias.data(), .residual = residual.data()},
          m * n);
      std::vector<double> want = naive_product(m, k, n, a.data(), false, b.data(), false);
      for (size_t i = 0; i < want.size(); ++i) {
        want[i] += static_cast<double>(bias[i % static_cast<size_t>(n)]);
        if (place == Residual::kBeforeActivation) want[i] += static_cast<double>(residual[i]);
        find_unary(c.op, DType::kDouble)(&want[i], &want[i], 1);
        if (place == Residual::kAfterActivation) want[i] += static_cast<double>(residual[i]);
      }
      expect_close(y, want, 1e-5, 1e-5);
    }
  }
}

// TensorFlow 2.21: tf.nn.relu and relu6 of bias_add of matmul, fused or not, keep a NaN.
TEST(MatMul, ReluKeepsNaN) {
  for (Activation activation : {Activation::kRelu, Activation::kRelu6}) {
    MatMulSpec spec{.m = 3, .k = 16, .n = 32};
    spec.post = {.bias = true, .activation = activation};
    std::vector<float> a(48, 1.0f);
    a[17] = NAN;
    const std::vector<float> b(512, -1.0f), bias(32, 0.0f);
    const auto y = run_matmul(spec, {.a = a.data(), .b = b.data(), .bias = bias.data()}, 96);
    EXPECT_EQ(y[0], 0.0f);
    EXPECT_TRUE(std::isnan(y[32]) && std::isnan(y[63]));
    EXPECT_EQ(y[64], 0.0f);
  }
}

TEST(MatMul, WithoutTermsIsBiasAlone) {
  for (bool transposed : {false, true}) {
    for (int64_t n : {3, 150}) {
      MatMulSpec spec{.m = 2, .k = 0, .n = n};
      spec.transpose_a = spec.transpose_b = transposed;
      spec.post.bias = true;
      const auto bias = random_floats(n, 1);
      std::vector<float> want = bias;
      want.insert(want.end(), bias.begin(), bias.end());
      EXPECT_EQ(run_matmul(spec, {.bias = bias.data()}, 2 * n), want);
    }
  }
}

// Deeper than what is summed at once, rows of b longer than what is read in place.
TEST(MatMul, AgreesWithDoublePrecisionForLongRowsAndColumns) {
  const ScopedTeam team(2);
  const int64_t m = 49, k = 1030, n = 1029;
  const auto a = random_floats(m * k, 1);
  const auto b = random_floats(k * n, 2);
  for (bool transpose_a : {false, true}) {
    for (bool transpose_b : {false, true}) {
      MatMulSpec spec{.m = m, .k = k, .n = n};
      spec.transpose_a = transpose_a;
      spec.transpose_b = transpose_b;
      expect_close(run_matmul(spec, {.a = a.data(), .b = b.data()}, m * n),
                   naive_product(m, k, n, a.data(), transpose_a, b.data(), transpose_b), 1e-5,
                   1e-4);
    }
  }
}

std::vector<float> transposed(int64_t rows, int64_t columns, const std::vector<float>& matrix) {
  std::vector<float> result(matrix.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      result[static_cast<size_t>(j * rows + i)] = matrix[static_cast<size_t>(i * columns + j)];
    }
  }
  return result;
}

// What merging requests into batches rests on (docs/architecture.md).
TEST(MatMul, RowHasTheSameBitsInAnyBatchAndTeamAndLayout) {
  const int64_t sizes[][2] = {{784, 128}, {128, 10},   {768, 3072}, {100, 17},
                              {33, 1},    {512, 1000}, {1030, 40}};
  for (const auto& [k, n] : sizes) {
    SCOPED_TRACE(cat("k ", k, ", n ", n));
    const PackedLayout layout = matmul_packed_layout(k, n, Precision::kFloat32);
    const auto weights = random_floats(k * n, 2);
    const auto weights_transposed = transposed(k, n, weights);
    AlignedBytes packed(layout.bytes());
    if (!layout.is_plain()) {
      ASSERT_TRUE(pack_matmul_weights(layout, k, n, false, weights.data(), packed.get()).ok());
    }
    std::vector<float> first;
    const auto expect_first = [&, columns = n](const MatMulSpec& spec, const float* a,
                                               const void* b) {
      auto y = run_matmul(spec, {.a = a, .b = b}, spec.m * columns);
      y.resize(static_cast<size_t>(columns));
      if (first.empty()) first = y;
      EXPECT_TRUE(same_bits(first, y)) << "m " << spec.m << ", team " << team_size();
    };
    const auto a = random_floats(67 * k, 1);
    for (int threads : {1, 2, 3, 8, 32}) {
      const ScopedTeam team(threads);
      for (int64_t m : {1, 2, 3, 4, 32, 37, 67}) {
        MatMulSpec spec{.m = m, .k = k, .n = n};
        expect_first(spec, a.data(), weights.data());
        spec.packed = layout;
        if (!layout.is_plain()) expect_first(spec, a.data(), packed.get());
      }
      MatMulSpec spec{.m = 67, .k = k, .n = n};
      spec.transpose_a = spec.transpose_b = true;
      expect_first(spec, transposed(67, k, a).data(), weights_transposed.data());
    }
    expect_close(first, naive_product(1, k, n, a.data(), false, weights.data(), false), 1e-5, 1e-4);
  }
}

TEST(MatMul, PacksTransposedWeights) {
  const int64_t m = 4, k = 70, n = 50;
  const PackedLayout layout = matmul_packed_layout(k, n, Precision::kFloat32);
  ASSERT_FALSE(layout.is_plain());
  const auto a = random_floats(m * k, 1);
  const auto weights = random_floats(k * n, 2);  // [n, k]
  AlignedBytes packed(layout.bytes());
  ASSERT_TRUE(pack_matmul_weights(layout, k, n, true, weights.data(), packed.get()).ok());
  MatMulSpec spec{.m = m, .k = k, .n = n};
  spec.packed = layout;
  expect_close(run_matmul(spec, {.a = a.data(), .b = packed.get()}, m * n),
               naive_product(m, k, n, a.data(), false, weights.data(), true), 1e-5, 1e-5);
}

TEST(MatMul, Bfloat16IsWithinItsPrecision) {
  const int64_t m = 8, k = 64, n = 32;
  const auto a = random_floats(m * k, 1);
  const auto b = random_floats(k * n, 2);
  MatMulSpec spec{.m = m, .k = k, .n = n, .precision = Precision::kBfloat16};
  const auto want = naive_product(m, k, n, a.data(), false, b.data(), false);
  expect_close(run_matmul(spec, {.a = a.data(), .b = b.data()}, m * n), want, 2e-2, 5e-2);
  const PackedLayout layout = matmul_packed_layout(k, n, Precision::kBfloat16);
  if (layout.is_plain()) return;
  AlignedBytes packed(layout.bytes());
  ASSERT_TRUE(pack_matmul_weights(layout, k, n, false, b.data(), packed.get()).ok());
  spec.packed = layout;
  expect_close(run_matmul(spec, {.a = a.data(), .b = packed.get()}, m * n), want, 2e-2, 5e-2);
}

TEST(MatMul, RefusesSizesThatDoNotFit) {
  EXPECT_EQ(MatMul::make({.m = -1, .k = 2, .n = 2}).status().code(),
            absl::StatusCode::kInvalidArgument);
  MatMulSpec batches{.m = 1, .k = 1, .n = 1};
  batches.batch_a = {2};
  batches.batch_b = {3};
  EXPECT_EQ(MatMul::make(batches).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReferenceMatMul, IntegersAndDoubles) {
  const std::vector<int32_t> a{1, 2, 3, 4};
  const std::vector<int32_t> b{5, 6, 7, 8};
  std::vector<int32_t> y(4);
  reference_matmul<int32_t>(2, 2, 2, a.data(), false, b.data(), false, y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{19, 22, 43, 50}));
  reference_matmul<int32_t>(2, 2, 2, a.data(), true, b.data(), true, y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{23, 31, 34, 46}));
}

}  // namespace
}  // namespace tenon::kernels
