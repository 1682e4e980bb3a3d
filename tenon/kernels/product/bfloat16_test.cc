// Products and convolutions in bfloat16 are those of operands rounded to nearest even, summed in
// float32. What rounds is core/dtype's bfloat16, what sums is double precision.
#include "tenon/core/dtype.h"
#include "tenon/kernels/convolution/conv_testing.h"
#include "tenon/kernels/kernel_testing.h"
#include "tenon/kernels/matmul.h"
#include "tenon/kernels/product/bfloat16_panels.h"

namespace tenon::kernels {
namespace {

std::vector<float> in_bfloat16(std::vector<float> values) {
  for (float& value : values) value = static_cast<float>(static_cast<bfloat16>(value));
  return values;
}

std::vector<const Bfloat16Loops*> all_loops() {
  std::vector<const Bfloat16Loops*> found;
  for (const Bfloat16Loops* loops : {bfloat16_vector_loops(), bfloat16_tile_loops()}) {
    if (loops) found.push_back(loops);
  }
  return found;
}

TEST(Bfloat16Loops, RoundToNearestEven) {
  const std::vector<float> values{1.0f,           1.00390625f,   1.01171875f, -3.1415926f, 1e30f,
                                  0x1.ffffffp99f, INFINITY,      -0.0f,       1e-30f,      65535.0f,
                                  0.1f,           0x1.010001p0f, 0x1.03p0f,   -1e9f,       7.0f,
                                  0x1.01p0f,      0x1.00ffp0f};
  const auto count = static_cast<int64_t>(values.size());
  for (const Bfloat16Loops* loops : all_loops()) {
    SCOPED_TRACE(loops->name);
    std::vector<uint16_t> got(32, 7);
    loops->round(values.data(), count, 32, got.data());
    std::vector<uint16_t> pairs(static_cast<size_t>(2 * kBfloat16Panel), 7);
    loops->round_pairs(values.data(), values.data(), count, pairs.data());
    for (size_t i = 0; i < 32; ++i) {
      uint16_t want = 0;
      if (i < values.size()) {
        const auto rounded = static_cast<bfloat16>(values[i]);
        std::memcpy(&want, &rounded, sizeof(want));
      }
      EXPECT_EQ(got[i], want) << "value " << i;
      EXPECT_EQ(pairs[2 * i], want) << "value " << i;
      EXPECT_EQ(pairs[2 * i + 1], want) << "value " << i;
    }
  }
}

TEST(Bfloat16Loops, SumAnyRowsAndColumnsOfAPanel) {
  const int64_t k = 96, a_row = k + 32, c_row = 40;
  const auto a = random_floats(64 * k, 1);
  const auto b = random_floats(k * kBfloat16Panel, 2);
  const auto exact_a = in_bfloat16(a), exact_b = in_bfloat16(b);
  for (const Bfloat16Loops* loops : all_loops()) {
    SCOPED_TRACE(loops->name);
    AlignedBytes left_bytes(64 * static_cast<size_t>(a_row) * 2),
        right(static_cast<size_t>(k) * 64);
    auto* const left_values = static_cast<uint16_t*>(left_bytes.get());
    const uint16_t* const left = left_values;
    auto* const right_values = static_cast<uint16_t*>(right.get());
    for (int64_t i = 0; i < 64; ++i) {
      loops->round(a.data() + i * k, k, k, left_values + i * a_row);
    }
    for (int64_t i = 0; i < k; i += 2) {
      const float* const even = b.data() + i * kBfloat16Panel;
      loops->round_pairs(even, even + kBfloat16Panel, kBfloat16Panel,
                         right_values + i * kBfloat16Panel);
    }
    for (int64_t m : {1, 5, 11, 12, 13, 16, 17, 31, 32, 33, 50}) {
      for (int64_t n : {1, 15, 16, 17, 31, 32}) {
        for (bool add : {false, true}) {
          std::vector<float> c(static_cast<size_t>(m * c_row), 0.5f), want(c);
          loops->product({.m = m, .n = n, .k = k, .a_row = a_row, .c_row = c_row, .add = add},
                         &left, right_values, c.data());
          for (int64_t i = 0; i < m; ++i) {
            for (int64_t j = 0; j < n; ++j) {
              double sum = add ? 0.5 : 0.0;
              for (int64_t p = 0; p < k; ++p) {
                sum += static_cast<double>(exact_a[static_cast<size_t>(i * k + p)]) *
                       static_cast<double>(exact_b[static_cast<size_t>(p * kBfloat16Panel + j)]);
              }
              want[static_cast<size_t>(i * c_row + j)] = static_cast<float>(sum);
            }
          }
          expect_close(c, want, 1e-5, 1e-5);
        }
      }
    }
  }
}

struct ProductCase {
  int64_t m, k, n;
  Dims batch_a = {}, batch_b = {};
  bool transpose_a = false, transpose_b = false;
};

// y of the definition, of operands that are bfloat16 already.
std::vector<double> product_of(const ProductCase& c, const std::vector<float>& a,
                               const std::vector<float>& b, int64_t a_item, int64_t b_item) {
  std::vector<double> y;
  for (int64_t i = 0; i < c.m; ++i) {
    for (int64_t j = 0; j < c.n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < c.k; ++p) {
        const int64_t left = a_item * c.m * c.k + (c.transpose_a ? p * c.m + i : i * c.k + p);
        const int64_t right = b_item * c.k * c.n + (c.transpose_b ? j * c.k + p : p * c.n + j);
        sum += static_cast<double>(a[static_cast<size_t>(left)]) *
               static_cast<double>(b[static_cast<size_t>(right)]);
      }
      y.push_back(sum);
    }
  }
  return y;
}

TEST(Bfloat16Product, IsThatOfRoundedOperandsForAnyTeam) {
  const ProductCase cases[] = {{1, 1, 1},
                               {3, 5, 7},
                               {37, 100, 33},
                               {130, 1100, 70},
                               {1, 784, 128},
                               {33, 63, 96, {}, {}, true, false},
                               {33, 63, 96, {}, {}, false, true},
                               {97, 600, 31, {}, {}, true, true},
                               {5, 40, 9, {2, 1}, {3}},
                               {5, 40, 9, {2, 3}, {2, 3}, false, true},
                               {40, 33, 20, {4}, {1}, true, false}};
  for (const ProductCase& c : cases) {
    SCOPED_TRACE(::testing::Message() << c.m << " x " << c.k << " x " << c.n);
    const int64_t a_items = Shape(c.batch_a).num_elements();
    const int64_t b_items = Shape(c.batch_b).num_elements();
    const bool crossed = c.batch_a == Dims{2, 1};
    const int64_t items = crossed ? 6 : std::max(a_items, b_items);
    const auto a = random_floats(a_items * c.m * c.k, 1);
    const auto b = random_floats(b_items * c.k * c.n, 2);
    const auto exact_a = in_bfloat16(a), exact_b = in_bfloat16(b);
    std::vector<double> want;
    for (int64_t i = 0; i < items; ++i) {
      const auto one = product_of(c, bfloat16_loops() ? exact_a : a, bfloat16_loops() ? exact_b : b,
                                  crossed ? i / 3 : i % a_items, crossed ? i % 3 : i % b_items);
      want.insert(want.end(), one.begin(), one.end());
    }
    std::vector<float> first;
    for (int threads : {1, 2, 7, 32}) {
      const ScopedTeam team(threads);
      MatMulSpec spec{.m = c.m, .k = c.k, .n = c.n, .precision = Precision::kBfloat16};
      spec.transpose_a = c.transpose_a;
      spec.transpose_b = c.transpose_b;
      spec.batch_a = c.batch_a;
      spec.batch_b = c.batch_b;
      const auto product = MatMul::make(spec);
      ASSERT_TRUE(product.ok()) << product.status();
      std::vector<float> y(want.size(), NAN);
      AlignedBytes scratch(product->scratch_bytes());
      product->run({.a = a.data(), .b = b.data(), .y = y.data()}, scratch.get());
      expect_close(y, want, 1e-5, 1e-4);
      if (first.empty()) first = y;
      EXPECT_TRUE(same_bits(y, first)) << "team " << threads;
    }
  }
}

TEST(Bfloat16Product, BitsDependNeitherOnTheRowsBesideNorOnPacking) {
  const int64_t k = 700, n = 100;
  const auto a = random_floats(150 * k, 1);
  const auto b = random_floats(k * n, 2);
  const PackedLayout layout = matmul_packed_layout(k, n, Precision::kBfloat16);
  ASSERT_FALSE(layout.is_plain());
  AlignedBytes packed(layout.bytes());
  ASSERT_TRUE(pack_matmul_weights(layout, k, n, false, b.data(), packed.get()).ok());
  std::vector<float> all;
  for (int64_t m : {150, 1, 2, 37}) {
    for (bool packs : {false, true}) {
      MatMulSpec spec{.m = m, .k = k, .n = n, .precision = Precision::kBfloat16};
      if (packs) spec.packed = layout;
      const auto product = MatMul::make(spec);
      std::vector<float> y(static_cast<size_t>(m * n));
      AlignedBytes scratch(product->scratch_bytes());
      const void* const right = packs ? packed.get() : b.data();
      product->run({.a = a.data(), .b = right, .y = y.data()}, scratch.get());
      if (all.empty()) all = y;
      EXPECT_TRUE(same_bits(y, {all.begin(), all.begin() + m * n})) << m << " rows";
    }
  }
}

TEST(Bfloat16Convolution, IsThatOfRoundedOperands) {
  const ConvSpec specs[] = {spec_of(2, {9, 11}, 40, 70, {3, 3}, 2, 1, Padding::kSame, 1),
                            spec_of(1, {14, 14}, 96, 144, {1, 1}, 1, 1, Padding::kValid, 1),
                            spec_of(3, {9, 7}, 48, 64, {3, 3}, 1, 2, Padding::kSame, 2),
                            spec_of(1, {8, 8}, 130, 33, {5, 3}, 1, 1, Padding::kExplicit, 1)};
  for (ConvSpec s : specs) {
    SCOPED_TRACE(::testing::Message() << s.in_channels << " to " << s.out_channels);
    s.precision = Precision::kBfloat16;
    s.post = {
        .bias = true, .activation = Activation::kRelu, .residual = Residual::kAfterActivation};
    const auto x = random_floats(inputs_of(s), 1);
    const auto w = random_floats(filters_of(s), 2);
    const auto bias = random_floats(s.out_channels, 3);
    const auto residual = random_floats(outputs_of(s), 4);
    const auto conv = Convolution::make(s);
    ASSERT_TRUE(conv.ok()) << conv.status();
    const bool rounds = conv->name().starts_with("bfloat16");
    EXPECT_EQ(rounds, bfloat16_loops() != nullptr) << conv->name();
    const auto exact_x = rounds ? in_bfloat16(x) : x, exact_w = rounds ? in_bfloat16(w) : w;
    std::vector<double> want(static_cast<size_t>(outputs_of(s)), 0.0);
    NaiveConv{s}.products([&](int64_t input, int64_t filter, int64_t output) {
      want[static_cast<size_t>(output)] +=
          static_cast<double>(exact_x[static_cast<size_t>(input)]) *
          static_cast<double>(exact_w[static_cast<size_t>(filter)]);
    });
    for (size_t i = 0; i < want.size(); ++i) {
      const size_t channel = i % static_cast<size_t>(s.out_channels);
      want[i] = std::max(want[i] + static_cast<double>(bias[channel]), 0.0) +
                static_cast<double>(residual[i]);
    }
    std::vector<float> y(want.size(), NAN);
    AlignedBytes scratch(conv->scratch_bytes());
    conv->run({.input = x.data(),
               .filter = w.data(),
               .output = y.data(),
               .bias = bias.data(),
               .residual = residual.data()},
              scratch.get());
    expect_close(y, want, 1e-5, 1e-4);
  }
}

}  // namespace
}  // namespace tenon::kernels
