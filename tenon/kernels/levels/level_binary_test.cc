// Element-wise operations on levels beside plain integers, bit for bit.
#include "tenon/kernels/levels/level_binary.h"

#include <random>

#include "tenon/base/strings.h"
#include "tenon/kernels/kernel_testing.h"
#include "tenon/kernels/levels/level_testing.h"

namespace tenon::kernels {
namespace {

int64_t plain_binary(const LevelBinary& s, int64_t a, int64_t b) {
  const auto bring = [&](int64_t x, int64_t zero, LevelFactor f) {
    const int64_t raised = wrapped_to_32((Integer{x} - zero) * power_of_two(s.left_shift));
    return wrapped_to_32(scaled_twice(raised, f.multiplier, f.shift));
  };
  const int64_t left = bring(a, s.zero_a, s.a), right = bring(b, s.zero_b, s.b);
  const int64_t difference = wrapped_to_32(Integer{left} - right);
  const int64_t values[] = {wrapped_to_32(Integer{left} + right), difference,
                            wrapped_to_32(Integer{difference} * difference),
                            wrapped_to_32((Integer{a} - s.zero_a) * (Integer{b} - s.zero_b))};
  const Integer scaled =
      scaled_twice(values[static_cast<size_t>(s.kind)], s.y.multiplier, s.y.shift);
  const int64_t level = wrapped_to_32(wrapped_to_32(scaled) + Integer{s.zero_y});
  return std::clamp<int64_t>(level, s.low, s.high);
}

class LevelDraw {
 public:
  explicit LevelDraw(uint32_t seed) : random_(seed) {}
  int64_t number(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  LevelFactor factor(bool any) {
    return {static_cast<int32_t>(number(any ? 0 : 1 << 30, INT32_MAX)),
            static_cast<int32_t>(any ? number(-31, 30) : number(-6, 0))};
  }
  int32_t zero(DType dtype) {
    const int64_t zeros[] = {lowest_level(dtype), highest_level(dtype), 5};
    return static_cast<int32_t>(zeros[number(0, 2)]);
  }
  LevelBinary binary() {
    constexpr DType kDtypes[] = {DType::kInt8, DType::kUint8, DType::kInt16};
    LevelBinary s;
    s.kind = static_cast<LevelBinaryKind>(number(0, 3));
    s.dtype = kDtypes[number(0, 2)];
    const bool any = number(0, 2) == 0;
    s.a = factor(any);
    s.b = factor(any);
    s.y = factor(any);
    s.y.shift -= any || s.kind == LevelBinaryKind::kMultiply ? 0 : 15;
    s.left_shift =
        static_cast<int32_t>(any ? number(0, 20) : 20 - (s.dtype == DType::kInt16 ? 5 : 0));
    s.zero_a = zero(s.dtype);
    s.zero_b = zero(s.dtype);
    s.zero_y = zero(s.dtype);
    s.low = static_cast<int32_t>(lowest_level(s.dtype) + number(0, 9));
    s.high = static_cast<int32_t>(highest_level(s.dtype) - number(0, 9));
    return s;
  }
  std::vector<int64_t> levels(DType dtype, int64_t count) {
    std::vector<int64_t> values(static_cast<size_t>(count));
    for (int64_t& value : values) value = number(lowest_level(dtype), highest_level(dtype));
    return values;
  }

 private:
  std::mt19937 random_;
};

struct TwoShapes {
  Shape a, b;
};

// Where element i of the result comes from in an operand of `shape`, both of rank 3.
size_t element_of(const Shape& result, const Shape& shape, int64_t i) {
  const int64_t at[] = {i / (result[1] * result[2]), i / result[2] % result[1], i % result[2]};
  int64_t place = 0;
  for (int axis = 0; axis < 3; ++axis) {
    place = place * shape[axis] + (shape[axis] == 1 ? 0 : at[axis]);
  }
  return static_cast<size_t>(place);
}

TEST(LevelBinary, AsPlainIntegers) {
  const TwoShapes kShapes[] = {{{1, 1, 1}, {1, 1, 1}},   {{1, 1, 77}, {1, 1, 77}},
                               {{2, 3, 17}, {1, 1, 17}}, {{2, 3, 33}, {2, 3, 1}},
                               {{1, 5, 1}, {4, 1, 9}},   {{1, 1, 1}, {3, 7, 40}},
                               {{0, 3, 4}, {1, 3, 4}},   {{3, 100, 200}, {3, 100, 200}}};
  for (uint32_t seed = 0; seed < 200; ++seed) {
    LevelDraw draw(seed);
    const LevelBinary s = draw.binary();
    const TwoShapes& shapes = kShapes[seed < 8 ? seed : seed % 7];
    const std::vector<Shape> both = {shapes.a, shapes.b};
    const auto plan = plan_broadcast(both);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const std::vector<int64_t> a = draw.levels(s.dtype, shapes.a.num_elements());
    const std::vector<int64_t> b = draw.levels(s.dtype, shapes.b.num_elements());
    std::vector<int64_t> want(static_cast<size_t>(plan->count));
    for (int64_t i = 0; i < plan->count; ++i) {
      want[static_cast<size_t>(i)] = plain_binary(s, a[element_of(plan->shape, shapes.a, i)],
                                                  b[element_of(plan->shape, shapes.b, i)]);
    }
    const std::vector<char> stored_a = stored_levels(s.dtype, a);
    const std::vector<char> stored_b = stored_levels(s.dtype, b);
    const std::vector<char> wanted = stored_levels(s.dtype, want);
    for (const int threads : {1, 3}) {
      const ScopedTeam team(threads);
      std::vector<char> y(wanted.size());
      run_level_binary(s, *plan, stored_a.data(), stored_b.data(), y.data());
      ASSERT_TRUE(y == wanted) << cat("seed ", seed, ", kind ", static_cast<int>(s.kind), " of ",
                                      s.dtype, ", ", shapes.a, " and ", shapes.b);
    }
  }
}

}  // namespace
}  // namespace tenon::kernels
