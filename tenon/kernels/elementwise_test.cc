#include "tenon/kernels/elementwise.h"

#include <functional>
#include <limits>

#include "tenon/kernels/broadcast.h"
#include "tenon/kernels/fused_elementwise.h"
#include "tenon/kernels/kernel_testing.h"
#include "tenon/kernels/simd/dispatch.h"

// After dispatch.h, which says for which instruction sets this folder is compiled.
#include "hwy/highway.h"

namespace tenon::kernels {
namespace {

TEST(Simd, BestAllowedInstructionSetIsDispatched) {
  const char* const limit = std::getenv("TENON_MAX_ISA");
  const std::string_view allowed = limit ? limit : "avx3";
  std::string_view best = hwy::TargetName(HWY_STATIC_TARGET);
  const auto consider = [&](int64_t target, bool is_allowed) {
    const bool supported = (static_cast<int64_t>(hwy::SupportedTargets()) & target) != 0;
    if (supported && is_allowed) best = hwy::TargetName(static_cast<uint32_t>(target));
  };
  consider(HWY_AVX2, allowed != "baseline");
  consider(HWY_AVX3, allowed == "avx3");
  EXPECT_EQ(std::string_view(simd_target()), best);
}

struct UnaryCase {
  const char* name;
  UnaryOp op;
  double (*truth)(double);
  float low, high;
  double ulps;
};

double sigmoid_truth(double x) { return 1 / (1 + std::exp(-x)); }
double softplus_truth(double x) { return std::log1p(std::exp(x)); }

// The C library's double precision is the truth; float's unit in the last place the measure.
TEST(Unary, Float32IsAccurate) {
  const UnaryCase cases[] = {
      {"exp", UnaryOp::kExp, std::exp, -87, 88, 2},
      {"expm1", UnaryOp::kExpm1, std::expm1, -10, 50, 4},
      {"expm1 small", UnaryOp::kExpm1, std::expm1, -0.01f, 0.01f, 4},
      {"log", UnaryOp::kLog, std::log, 1e-30f, 100, 3},
      {"log near one", UnaryOp::kLog, std::log, 0.9f, 1.1f, 3},
      {"log1p", UnaryOp::kLog1p, std::log1p, -0.9f, 100, 4},
      {"log1p small", UnaryOp::kLog1p, std::log1p, -0.001f, 0.001f, 4},
      {"tanh", UnaryOp::kTanh, std::tanh, -10, 10, 5},
      {"tanh small", UnaryOp::kTanh, std::tanh, -0.01f, 0.01f, 5},
      {"sigmoid", UnaryOp::kSigmoid, sigmoid_truth, -80, 80, 3},
      {"softplus", UnaryOp::kSoftplus, softplus_truth, -80, 80, 4},
      {"erf", UnaryOp::kErf, std::erf, -5, 5, 8},
      {"sqrt", UnaryOp::kSqrt, std::sqrt, 0, 1e6f, 1},
      {"sin", UnaryOp::kSin, std::sin, -3, 3, 3},
      {"cos", UnaryOp::kCos, std::cos, -1.5f, 1.5f, 3},
      {"erfc", UnaryOp::kErfc, std::erfc, -3, 8, 3},
      {"lgamma", UnaryOp::kLgamma, std::lgamma, 3, 100, 2},
  };
  for (const UnaryCase& c : cases) {
    const auto x = random_floats(20001, 7, c.low, c.high);
    std::vector<float> y(x.size());
    find_unary(c.op, DType::kFloat)(x.data(), y.data(), static_cast<int64_t>(x.size()));
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = c.truth(static_cast<double>(x[i]));
      const auto rounded = std::abs(static_cast<float>(want));
      const double ulp = static_cast<double>(std::nextafter(rounded, INFINITY) - rounded);
      worst = std::max(worst, std::abs(static_cast<double>(y[i]) - want) / ulp);
    }
    EXPECT_LE(worst, c.ulps) << c.name;
    RecordProperty(std::string("ulp ") + c.name, std::to_string(worst));
  }
}

TEST(Unary, Float32SpecialValuesFollowTheCLibrary) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x{0.0f, -0.0f, inf, -inf, NAN, 1e-42f, -1.0f, 200.0f, -200.0f, 1e30f};
  const struct {
    UnaryOp op;
    float (*truth)(float);
  } cases[] = {{UnaryOp::kExp, [](float v) { return std::exp(v); }},
               {UnaryOp::kExpm1, [](float v) { return std::expm1(v); }},
               {UnaryOp::kLog, [](float v) { return std::log(v); }},
               {UnaryOp::kLog1p, [](float v) { return std::log1p(v); }},
               {UnaryOp::kTanh, [](float v) { return std::tanh(v); }},
               {UnaryOp::kErf, [](float v) { return std::erf(v); }},
               {UnaryOp::kSqrt, [](float v) { return std::sqrt(v); }},
               {UnaryOp::kSin, [](float v) { return std::sin(v); }},
               {UnaryOp::kCos, [](float v) { return std::cos(v); }},
               {UnaryOp::kFloor, [](float v) { return std::floor(v); }},
               {UnaryOp::kRint, [](float v) { return std::nearbyint(v); }}};
  for (const auto& c : cases) {
    std::vector<float> y(x.size());
    find_unary(c.op, DType::kFloat)(x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const float want = c.truth(x[i]);
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(y[i])) << static_cast<int>(c.op) << " of " << x[i];
      } else if (std::isinf(want)) {
        EXPECT_EQ(y[i], want) << static_cast<int>(c.op) << " of " << x[i];
      } else {
        EXPECT_NEAR(y[i], want, std::abs(want) * 1e-6f + 1e-43f)
            << static_cast<int>(c.op) << " of " << x[i];
      }
    }
  }
}

TEST(Unary, ScalarLoopsAgreeWithVectorsInEveryPosition) {
  const auto x = random_floats(131, 9, 0.1f, 0.9f);
  const std::vector<double> wide(x.begin(), x.end());
  for (int op = 0; op < static_cast<int>(UnaryOp::kCount); ++op) {
    const auto unary = static_cast<UnaryOp>(op);
    const UnaryKernel kernel = find_unary(unary, DType::kFloat);
    if (kernel == nullptr || result_dtype(unary, DType::kFloat) != DType::kFloat) continue;
    if (unary == UnaryOp::kAcosh) continue;  // not a number below 1
    std::vector<float> whole(x.size());
    kernel(x.data(), whole.data(), 131);
    for (int64_t i = 0; i < 131; ++i) {
      float alone = 0;
      kernel(&x[static_cast<size_t>(i)], &alone, 1);
      ASSERT_EQ(alone, whole[static_cast<size_t>(i)]) << "operation " << op;
    }
    std::vector<double> doubles(x.size());
    find_unary(unary, DType::kDouble)(wide.data(), doubles.data(), 131);
    SCOPED_TRACE(op);
    expect_close(whole, doubles, 2e-6, 2e-7);
  }
}

TEST(Unary, InverseFunctionsInvert) {
  for (double p : {1e-300, 1e-20, 1e-5, 0.01, 0.3, 0.5, 0.7, 0.999}) {
    double z = 0;
    find_unary(UnaryOp::kNdtri, DType::kDouble)(&p, &z, 1);
    EXPECT_NEAR(0.5 * std::erfc(-z / std::sqrt(2.0)), p, 1e-12 * p) << p;
  }
  for (double x : {-0.999999, -0.5, -1e-10, 0.0, 0.1, 0.49, 0.51, 0.9}) {
    double y = 0;
    find_unary(UnaryOp::kErfinv, DType::kDouble)(&x, &y, 1);
    EXPECT_NEAR(std::erf(y), x, 1e-14 * std::max(1e-10, std::abs(x))) << x;
  }
  // Abramowitz and Stegun, table 6.1: digamma(1) = -0.5772156649, digamma(2) = 0.4227843351.
  double x = 1, y = 0;
  find_unary(UnaryOp::kDigamma, DType::kDouble)(&x, &y, 1);
  EXPECT_NEAR(y, -0.57721566490153286, 1e-14);
  x = -0.5;
  find_unary(UnaryOp::kDigamma, DType::kDouble)(&x, &y, 1);
  EXPECT_NEAR(y, 0.03648997397857652, 1e-13);
}

template <class T>
T binary_of(BinaryOp op, T a, T b) {
  T y{};
  find_binary(op, dtype_of<T>)(&a, 1, &b, 1, &y, 1);
  return y;
}

TEST(Binary, IntegerDivisionNeverTraps) {
  const int32_t lowest = std::numeric_limits<int32_t>::lowest();
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kDiv, 7, 0), 0);
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kDiv, lowest, -1), lowest);
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kFloorMod, lowest, -1), 0);
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kFloorDiv, -7, 2), -4);
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kFloorMod, -7, 2), 1);
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kTruncateMod, -7, 2), -1);
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kFloorMod, 7, -2), -1);
  EXPECT_EQ(binary_of<float>(BinaryOp::kFloorMod, -7.5f, 2.0f), 0.5f);
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kPow, 3, 4), 81);
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kPow, 2, -1), 0);
  EXPECT_EQ(binary_of<uint8_t>(BinaryOp::kAdd, 200, 100), 44);
  EXPECT_EQ(binary_of<int32_t>(BinaryOp::kLeftShift, 1, 40), lowest);
  const int64_t zeros[] = {1, 2, 0};
  EXPECT_TRUE(contains_zero(DType::kInt64, zeros, 3));
  EXPECT_FALSE(contains_zero(DType::kInt64, zeros, 2));
}

TEST(Binary, VectorsAgreeWithScalarLoopsForEveryStep) {
  const auto a = random_floats(77, 1, 0.2f, 7.0f);
  const auto b = random_floats(77, 2, 0.2f, 7.0f);
  const std::vector<double> wide_a(a.begin(), a.end()), wide_b(b.begin(), b.end());
  for (int op = 0; op < static_cast<int>(BinaryOp::kCount); ++op) {
    const auto binary = static_cast<BinaryOp>(op);
    const BinaryKernel narrow = find_binary(binary, DType::kFloat);
    const BinaryKernel wide = find_binary(binary, DType::kDouble);
    ASSERT_EQ(narrow == nullptr, wide == nullptr);
    if (narrow == nullptr) continue;
    SCOPED_TRACE(op);
    for (int steps = 0; steps < 4; ++steps) {
      if (result_dtype(binary, DType::kFloat) == DType::kBool) {
        std::vector<uint8_t> y(77), want(77);
        narrow(a.data(), steps & 1, b.data(), steps >> 1, y.data(), 77);
        wide(wide_a.data(), steps & 1, wide_b.data(), steps >> 1, want.data(), 77);
        EXPECT_EQ(y, want);
      } else {
        std::vector<float> y(77);
        std::vector<double> want(77);
        narrow(a.data(), steps & 1, b.data(), steps >> 1, y.data(), 77);
        wide(wide_a.data(), steps & 1, wide_b.data(), steps >> 1, want.data(), 77);
        expect_close(y, want, 1e-5, 1e-5);
      }
    }
  }
}

// Each gradient kernel against a central difference of its function.
TEST(Binary, GradientsAgreeWithFiniteDifferences) {
  const struct {
    UnaryOp op;
    BinaryOp gradient;
    enum { kOutputThenDy, kDyThenInput, kDyThenOutput } arguments;
  } cases[] = {{UnaryOp::kTanh, BinaryOp::kTanhGrad, cases[0].kOutputThenDy},
               {UnaryOp::kSigmoid, BinaryOp::kSigmoidGrad, cases[0].kOutputThenDy},
               {UnaryOp::kSqrt, BinaryOp::kSqrtGrad, cases[0].kOutputThenDy},
               {UnaryOp::kRsqrt, BinaryOp::kRsqrtGrad, cases[0].kOutputThenDy},
               {UnaryOp::kReciprocal, BinaryOp::kReciprocalGrad, cases[0].kOutputThenDy},
               {UnaryOp::kRelu, BinaryOp::kReluGrad, cases[0].kDyThenInput},
               {UnaryOp::kRelu6, BinaryOp::kRelu6Grad, cases[0].kDyThenInput},
               {UnaryOp::kElu, BinaryOp::kEluGrad, cases[0].kDyThenOutput},
               {UnaryOp::kSelu, BinaryOp::kSeluGrad, cases[0].kDyThenOutput},
               {UnaryOp::kSoftplus, BinaryOp::kSoftplusGrad, cases[0].kDyThenInput},
               {UnaryOp::kSoftsign, BinaryOp::kSoftsignGrad, cases[0].kDyThenInput}};
  for (const auto& c : cases) {
    const UnaryKernel f = find_unary(c.op, DType::kDouble);
    for (double x : {-2.3, -0.4, 0.3, 1.7, 6.5}) {
      double y = 0, up = 0, down = 0;
      const double high = x + 1e-6, low = x - 1e-6;
      f(&x, &y, 1);
      f(&high, &up, 1);
      f(&low, &down, 1);
      if (std::isnan(y)) continue;
      const double dy = 1.5;
      double got = 0;
      const BinaryKernel g = find_binary(c.gradient, DType::kDouble);
      if (c.arguments == c.kOutputThenDy) g(&y, 1, &dy, 1, &got, 1);
      if (c.arguments == c.kDyThenInput) g(&dy, 1, &x, 1, &got, 1);
      if (c.arguments == c.kDyThenOutput) g(&dy, 1, &y, 1, &got, 1);
      EXPECT_NEAR(got, dy * (up - down) / 2e-6, 1e-6 * std::max(1.0, std::abs(got)))
          << static_cast<int>(c.op) << " at " << x;
    }
  }
}

TEST(Broadcast, CollapsesAndRunsLikeNumPy) {
  const Shape shapes[][2] = {{{2, 3, 4}, {2, 3, 4}},    {{2, 3, 4}, {4}}, {{2, 3, 4}, {3, 1}},
                             {{2, 1, 4}, {1, 3, 1}},    {{}, {5}},        {{7, 1}, {1, 300}},
                             {{2, 3, 1, 2}, {3, 5, 1}}, {{0, 3}, {1, 3}}};
  for (int threads : {1, 2}) {
    const ScopedTeam team(threads);
    for (const auto& pair : shapes) {
      auto plan = plan_broadcast(pair);
      ASSERT_TRUE(plan.ok());
      const auto a = random_floats(pair[0].num_elements(), 1);
      const auto b = random_floats(pair[1].num_elements(), 2);
      std::vector<float> y(static_cast<size_t>(plan->count)), want(y.size());
      run_binary(*plan, find_binary(BinaryOp::kSub, DType::kFloat), 4, a.data(), b.data(), 4,
                 y.data());
      for (int64_t i = 0; i < plan->count; ++i) {
        int64_t offsets[2] = {0, 0};
        for (int k = 0; k < 2; ++k) {
          int64_t rest = i, stride = 1;
          const Shape& own = pair[k];
          for (int axis = plan->shape.rank() - 1; axis >= 0; --axis) {
            const int64_t index = rest % plan->shape[axis];
            rest /= plan->shape[axis];
            const int mine = axis - (plan->shape.rank() - own.rank());
            if (mine < 0) continue;
            if (own[mine] != 1) offsets[k] += index * stride;
            stride *= own[mine];
          }
        }
        want[static_cast<size_t>(i)] =
            a[static_cast<size_t>(offsets[0])] - b[static_cast<size_t>(offsets[1])];
      }
      EXPECT_EQ(y, want) << to_string(pair[0]) << " and " << to_string(pair[1]);
    }
  }
  const Shape bad[] = {{2}, {3}};
  EXPECT_EQ(plan_broadcast(bad).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Binary, InPlaceOverATeamIsTheDifferenceOfEachElement) {
  for (const int64_t count : {1, 15, 16385, 100003}) {
    const auto x = random_floats(count, 1), y = random_floats(count, 2);
    std::vector<float> alone = x, shared = x;
    const BinaryKernel sub = find_binary(BinaryOp::kSub, DType::kFloat);
    apply_binary(sub, sizeof(float), alone.data(), y.data(), alone.data(), count);
    const ScopedTeam team(2);
    apply_binary(sub, sizeof(float), shared.data(), y.data(), shared.data(), count);
    EXPECT_TRUE(same_bits(shared, alone));
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(shared[i], x[i] - y[i]) << "element " << i;
  }
}

FusedInstruction unary_step(UnaryOp op, int a) {
  return {.kind = FusedInstruction::Kind::kUnary, .unary = op, .a = a};
}
FusedInstruction binary_step(BinaryOp op, int a, int b) {
  return {.kind = FusedInstruction::Kind::kBinary, .binary = op, .a = a, .b = b};
}

// y0 = tanh(x * row + scalar), y1 = y0 > 0.25 ? y0 : column, y2 = y0 > 0.25.
TEST(FusedElementwise, HasTheBitsOfTheUnfusedOperations) {
  FusedProgram p;
  p.inputs = {{FusedKind::kFull, DType::kFloat},
              {FusedKind::kRow, DType::kFloat},
              {FusedKind::kScalar, DType::kFloat},
              {FusedKind::kColumn, DType::kFloat}};
  p.constants = {0.25f};
  p.instructions = {binary_step(BinaryOp::kMul, 0, 1),
                    binary_step(BinaryOp::kAdd, 5, 2),
                    unary_step(UnaryOp::kTanh, 6),
                    binary_step(BinaryOp::kGreater, 7, 4),
                    {.kind = FusedInstruction::Kind::kSelect, .a = 8, .b = 7, .c = 3}};
  p.outputs = {{7, DType::kFloat}, {9, DType::kFloat}, {8, DType::kBool}};
  auto fused = FusedElementwise::compile(p);
  ASSERT_TRUE(fused.ok()) << fused.status();
  for (int threads : {1, 2}) {
    const ScopedTeam team(threads);
    for (const auto& [rows, columns] :
         {std::pair<int64_t, int64_t>{1, 1}, {3, 7}, {100, 700}, {1, 5000}, {5000, 1}}) {
      const int64_t count = rows * columns;
      const auto x = random_floats(count, 1), row = random_floats(columns, 2),
                 column = random_floats(rows, 3);
      const float scalar = 0.125f;
      std::vector<float> y0(static_cast<size_t>(count)), y1(y0.size()), want(y0.size());
      std::vector<uint8_t> y2(y0.size());
      const void* in[] = {x.data(), row.data(), &scalar, column.data()};
      void* out[] = {y0.data(), y1.data(), y2.data()};
      fused->run(in, out, rows, columns);
      const Shape shapes[] = {{rows, columns}, {columns}};
      const auto mul = find_binary(BinaryOp::kMul, DType::kFloat);
      run_binary(*plan_broadcast(shapes), mul, 4, x.data(), row.data(), 4, want.data());
      find_binary(BinaryOp::kAdd, DType::kFloat)(want.data(), 1, &scalar, 0, want.data(), count);
      find_unary(UnaryOp::kTanh, DType::kFloat)(want.data(), want.data(), count);
      ASSERT_TRUE(same_bits(y0, want));
      for (size_t i = 0; i < want.size(); ++i) {
        const bool above = want[i] > 0.25f;
        ASSERT_EQ(y2[i], above);
        ASSERT_EQ(y1[i], above ? want[i] : column[i / static_cast<size_t>(columns)]);
      }
    }
  }
}

// y0 = bfloat16(x) * half as bfloat16 + 0.3, y1 = float(y0 > row ? y0 : row), y2 = half(truth).
TEST(FusedElementwise, RoundsEachValueToItsDtype) {
  FusedProgram p;
  constexpr DType kShort = DType::kBfloat16;
  p.inputs = {{FusedKind::kFull, DType::kFloat},
              {FusedKind::kFull, DType::kHalf},
              {FusedKind::kRow, kShort},
              {FusedKind::kColumn, DType::kBool}};
  p.constants = {0.30078125f};  // a bfloat16
  const auto cast = [](int a, DType to) {
    return FusedInstruction{.kind = FusedInstruction::Kind::kCast, .a = a, .dtype = to};
  };
  p.instructions = {cast(0, kShort),
                    cast(1, kShort),
                    binary_step(BinaryOp::kMul, 5, 6),
                    binary_step(BinaryOp::kAdd, 7, 4),
                    binary_step(BinaryOp::kGreater, 8, 2),
                    {.kind = FusedInstruction::Kind::kSelect, .a = 9, .b = 8, .c = 2},
                    cast(10, DType::kFloat),
                    cast(3, DType::kHalf)};
  for (size_t i : {2, 3, 4, 5}) p.instructions[i].dtype = kShort;
  p.outputs = {{8, kShort}, {11, DType::kFloat}, {12, DType::kHalf}, {9, DType::kBool}};
  auto fused = FusedElementwise::compile(p);
  ASSERT_TRUE(fused.ok()) << fused.status();
  const int64_t rows = 7, columns = 300, count = rows * columns;
  const auto x = random_floats(count, 1), h = random_floats(count, 2),
             r = random_floats(columns, 3);
  const std::vector<float16> half(h.begin(), h.end());
  const std::vector<bfloat16> row(r.begin(), r.end());
  const std::array<bool, 7> column{true, false, true, true, false, false, true};
  std::vector<bfloat16> y0(half.size());
  std::vector<float> y1(half.size());
  std::vector<float16> y2(half.size());
  std::vector<uint8_t> y3(half.size());
  const void* in[] = {x.data(), half.data(), row.data(), column.data()};
  void* out[] = {y0.data(), y1.data(), y2.data(), y3.data()};
  fused->run(in, out, rows, columns);
  const auto product = [](bfloat16 a, bfloat16 b) {
    return bfloat16(static_cast<float>(a) * static_cast<float>(b));
  };
  for (size_t i = 0; i < half.size(); ++i) {
    const bfloat16 factor(static_cast<float>(half[i]));
    const bfloat16 sum(static_cast<float>(product(bfloat16(x[i]), factor)) + 0.30078125f);
    const size_t at = i % static_cast<size_t>(columns);
    const bool above = static_cast<float>(sum) > static_cast<float>(row[at]);
    ASSERT_EQ(static_cast<float>(y0[i]), static_cast<float>(sum));
    ASSERT_EQ(y1[i], static_cast<float>(above ? sum : row[at]));
    ASSERT_EQ(static_cast<float>(y2[i]), column[i / static_cast<size_t>(columns)] ? 1.0f : 0.0f);
    ASSERT_EQ(y3[i], above);
  }
  p.instructions[3].b = 1;  // a float16
  EXPECT_EQ(FusedElementwise::compile(p).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(FusedElementwise, RefusesAValueThatDoesNotExistYet) {
  FusedProgram p;
  p.inputs = {{}};
  p.instructions = {binary_step(BinaryOp::kAdd, 0, 1)};
  p.outputs = {{1, DType::kFloat}};
  EXPECT_EQ(FusedElementwise::compile(p).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::kernels
