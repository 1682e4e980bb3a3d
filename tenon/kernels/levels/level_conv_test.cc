// Convolutions of levels beside plain loops in integers, bit for bit: every dtype, way, padding and
// group, zero points and levels at their ends, factors of any size, for any team.
#include "tenon/kernels/levels/level_conv.h"

#include <random>

#include "tenon/base/strings.h"
#include "tenon/kernels/kernel_testing.h"
#include "tenon/kernels/levels/level_testing.h"

namespace tenon::kernels {
namespace {

// Levels in memory, as numbers.
struct Levels {
  DType dtype;
  std::vector<int64_t> values;

  std::vector<char> bytes() const { return stored_levels(dtype, values); }
};

Levels some_levels(DType dtype, int64_t count, bool at_ends, std::mt19937& random) {
  std::uniform_int_distribution<int64_t> any(lowest_level(dtype), highest_level(dtype));
  Levels levels{dtype, std::vector<int64_t>(static_cast<size_t>(count))};
  for (int64_t& value : levels.values) {
    value = any(random);
    if (at_ends) value = value % 2 == 0 ? lowest_level(dtype) : highest_level(dtype);
  }
  return levels;
}

// By the definition in level_conv.h, one result after the other.
struct PlainConv {
  const LevelConvSpec& s;
  const std::vector<int64_t>&x, &w, &bias;

  int64_t group_in() const { return s.depthwise ? 1 : s.in / s.groups; }

  // Where tap i of cell `at` lies along an axis, or -1.
  static int64_t place(const LevelConvSpec& s, int axis, int64_t at, int64_t i) {
    const int64_t size = axis == 0 ? s.rows : s.columns;
    int64_t from = at * s.stride[axis] - s.before[axis] + i * s.dilation[axis];
    if (s.transposed) {
      from = at + s.before[axis] - i;
      if (from < 0 || from % s.stride[axis] != 0) return -1;
      from /= s.stride[axis];
    }
    return from >= 0 && from < size ? from : -1;
  }

  Integer sum(int64_t image, int64_t row, int64_t column, int64_t o) const {
    Integer total = bias[static_cast<size_t>(o)];
    const int64_t first = s.depthwise ? o / (s.out / s.in) : o / (s.out / s.groups) * group_in();
    for (int64_t i = 0; i < s.kernel_rows; ++i) {
      for (int64_t j = 0; j < s.kernel_columns; ++j) {
        const int64_t y = place(s, 0, row, i), at = place(s, 1, column, j);
        if (y < 0 || at < 0) continue;
        for (int64_t c = 0; c < group_in(); ++c) {
          const int64_t level =
              x[static_cast<size_t>(((image * s.rows + y) * s.columns + at) * s.in + first + c)];
          const int64_t tap = i * s.kernel_columns + j;
          const int64_t weight = w[static_cast<size_t>(
              s.depthwise ? tap * s.out + o
                          : (o * s.kernel_rows * s.kernel_columns + tap) * group_in() + c)];
          total += (level - s.zero_x) * (weight - s.zero_w);
        }
      }
    }
    return total;
  }

  int64_t finished(Integer sum, int64_t o) const {
    const size_t i = s.multipliers.size() == 1 ? 0 : static_cast<size_t>(o);
    const Integer multiplier = s.multipliers[i];
    const int shift = s.shifts[i];
    if (s.bias == DType::kInt32) sum = wrapped_to_32(sum);
    Integer scaled;
    if (s.once) {
      scaled = floor_divided(sum * multiplier + power_of_two(30 - shift), power_of_two(31 - shift));
    } else if (s.bias == DType::kInt64) {
      const Integer reduced = multiplier < 0x7FFF0000 ? (multiplier + 32768) / 65536 : 32767;
      const int total = std::max(15 - shift, 1);
      scaled = floor_divided(sum * reduced + power_of_two(total - 1), power_of_two(total));
    } else {
      scaled = scaled_twice(sum, s.multipliers[i], shift);
    }
    const int64_t level = wrapped_to_32(wrapped_to_32(scaled) + Integer{s.zero_y});
    return std::clamp<int64_t>(level, s.low, s.high);
  }

  std::vector<int64_t> results() const {
    std::vector<int64_t> y;
    for (int64_t image = 0; image < s.batch; ++image) {
      for (int64_t row = 0; row < s.out_rows; ++row) {
        for (int64_t column = 0; column < s.out_columns; ++column) {
          for (int64_t o = 0; o < s.out; ++o) y.push_back(finished(sum(image, row, column, o), o));
        }
      }
    }
    return y;
  }
};

void expect_plain(const LevelConvSpec& s, const Levels& x, const Levels& w, const Levels& bias,
                  std::span<const int> teams) {
  const Levels want{s.x, PlainConv{s, x.values, w.values, bias.values}.results()};
  const std::vector<char> x_bytes = x.bytes(), w_bytes = w.bytes(), bias_bytes = bias.bytes();
  const std::vector<char> want_bytes = want.bytes();
  for (const int threads : teams) {
    const ScopedTeam team(threads);
    const LevelConv conv(s);
    AlignedBytes packed(conv.packed_bytes()), scratch(conv.scratch_bytes());
    conv.pack(w_bytes.data(), packed.get());
    std::vector<char> y(want_bytes.size());
    conv.run(x_bytes.data(), packed.get(), bias_bytes.data(), y.data(), scratch.get());
    ASSERT_TRUE(y == want_bytes) << threads << " threads, " << s.in << " to " << s.out
                                 << " channels in " << s.groups << " groups, "
                                 << (s.depthwise ? "depthwise, " : "")
                                 << (s.transposed ? "transposed, " : "") << s.kernel_rows << " by "
                                 << s.kernel_columns << " taps of " << cat(s.w, " on ", s.x)
                                 << " less " << s.zero_x << " and " << s.zero_w;
  }
}

class Draw {
 public:
  explicit Draw(uint32_t seed) : random_(seed) {}

  int64_t one_of(std::span<const int64_t> values) { return values[number(values.size())]; }
  size_t number(size_t below) {
    return std::uniform_int_distribution<size_t>(0, below - 1)(random_);
  }
  bool yes() { return number(2) == 1; }

  LevelConvSpec spec() {
    static constexpr int64_t kChannels[] = {1, 3, 7, 16, 17, 33, 70};
    static constexpr int64_t kTaps[] = {1, 2, 3, 5};
    static constexpr int64_t kSizes[] = {1, 4, 5, 9};
    LevelConvSpec s;
    dtypes(s);
    s.batch = static_cast<int64_t>(1 + number(5));
    s.in = one_of(kChannels);
    s.out = one_of(kChannels);
    s.kernel_rows = one_of(kTaps);
    s.kernel_columns = one_of(kTaps);
    const size_t kind = number(5);
    if (kind == 1) {
      s.groups = s.in;
      s.out = s.in * static_cast<int64_t>(1 + number(2));
    }
    if (kind == 2 || kind == 3) {
      s.depthwise = true;
      s.out = s.in * (kind == 2 ? 1 : static_cast<int64_t>(1 + number(3)));
    }
    s.transposed = kind == 4;
    for (int i = 0; i < 2; ++i) {
      const int64_t taps = i == 0 ? s.kernel_rows : s.kernel_columns;
      s.stride[i] = static_cast<int64_t>(1 + number(3));
      s.dilation[i] = s.transposed ? 1 : static_cast<int64_t>(1 + number(2));
      s.before[i] = static_cast<int64_t>(number(static_cast<size_t>(taps)));
      (i == 0 ? s.rows : s.columns) = one_of(kSizes);
      (i == 0 ? s.out_rows : s.out_columns) = one_of(kSizes);
    }
    factors(s);
    return s;
  }

  Levels levels(DType dtype, int64_t count) {
    return some_levels(dtype, count, number(4) == 0, random_);
  }
  Levels bias(const LevelConvSpec& s) {
    const int64_t most = s.bias == DType::kInt64 ? int64_t{1} << 36
                         : number(4) == 0        ? INT32_MAX
                                                 : 5000;
    Levels bias{s.bias, {}};
    for (int64_t o = 0; o < s.out; ++o) {
      bias.values.push_back(std::uniform_int_distribution<int64_t>(-most, most)(random_));
    }
    return bias;
  }

 private:
  void dtypes(LevelConvSpec& s) {
    constexpr DType kActivations[] = {DType::kInt8, DType::kInt8, DType::kUint8, DType::kInt16,
                                      DType::kInt16};
    const size_t kind = number(5);
    s.x = kActivations[kind];
    s.w = s.x == DType::kUint8 ? DType::kUint8 : DType::kInt8;
    if (kind == 4) s.bias = DType::kInt64;
    const int64_t zeros[] = {lowest_level(s.x), highest_level(s.x), 3, 0};
    const int64_t weight_zeros[] = {lowest_level(s.w), highest_level(s.w),
                                    s.w == DType::kUint8 ? 128 : 0, s.w == DType::kUint8 ? 128 : 0,
                                    1};
    s.zero_x = static_cast<int32_t>(one_of(zeros));
    s.zero_w = static_cast<int32_t>(one_of(weight_zeros));
    s.zero_y = static_cast<int32_t>(one_of(zeros));
    s.low = static_cast<int32_t>(yes() ? lowest_level(s.x)
                                       : std::max<int64_t>(s.zero_y, lowest_level(s.x)));
    s.high = static_cast<int32_t>(highest_level(s.x));
  }

  void factors(LevelConvSpec& s) {
    const int64_t count = yes() ? 1 : s.out;
    const bool any = number(3) == 0;
    s.once = yes();
    for (int64_t o = 0; o < count; ++o) {
      s.multipliers.push_back(std::uniform_int_distribution<int32_t>(
          any ? 0 : 1 << 30, std::numeric_limits<int32_t>::max())(random_));
      s.shifts.push_back(any ? static_cast<int32_t>(number(62)) - 31
                             : -4 - static_cast<int32_t>(number(8)));
    }
  }

  std::mt19937 random_;
};

int64_t count_of_filter(const LevelConvSpec& s) {
  const int64_t taps = s.kernel_rows * s.kernel_columns;
  return s.depthwise ? taps * s.out : s.out * taps * (s.in / s.groups);
}

TEST(LevelConv, AsPlainLoopsForAnyTeam) {
  constexpr int kTeams[] = {1, 2, 3, 32};
  for (uint32_t seed = 0; seed < 600; ++seed) {
    Draw draw(seed);
    const LevelConvSpec s = draw.spec();
    const Levels x = draw.levels(s.x, s.batch * s.rows * s.columns * s.in);
    const Levels w = draw.levels(s.w, count_of_filter(s));
    expect_plain(s, x, w, draw.bias(s), std::span(kTeams).first(seed % 4 == 0 ? 4 : 1));
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

LevelConvSpec connected(int64_t batch, int64_t in, int64_t out) {
  LevelConvSpec s;
  s.batch = batch;
  s.in = in;
  s.out = out;
  s.rows = s.columns = s.out_rows = s.out_columns = 1;
  s.multipliers = {1 << 30};
  s.shifts = {-8};
  s.low = -128;
  s.high = 127;
  return s;
}

TEST(LevelConv, ManyRowsAndColumns) {
  constexpr int kTeams[] = {1, 2, 8};
  for (const auto& [batch, in, out] : {std::array<int64_t, 3>{130, 40, 200},
                                       {1, 784, 128},
                                       {2, 1000, 65},
                                       {49, 300, 320},
                                       {7, 5000, 9}}) {
    Draw draw(static_cast<uint32_t>(batch));
    const LevelConvSpec s = connected(batch, in, out);
    expect_plain(s, draw.levels(s.x, batch * in), draw.levels(s.w, in * out), draw.bias(s), kTeams);
  }
}

// More than 32 bits: TensorFlow Lite's sums of 8 bits wrap on the machines that it is for.
TEST(LevelConv, SumsWrap) {
  constexpr int kTeams[] = {1, 4};
  for (const DType dtype : {DType::kInt8, DType::kInt16}) {
    LevelConvSpec s = connected(3, dtype == DType::kInt8 ? 140'000 : 1100, 2);
    s.x = dtype;
    s.zero_x = static_cast<int32_t>(highest_level(dtype));
    s.low = static_cast<int32_t>(lowest_level(dtype));
    s.high = static_cast<int32_t>(highest_level(dtype));
    s.shifts = {dtype == DType::kInt8 ? -24 : -15};
    const Levels x{dtype, std::vector<int64_t>(static_cast<size_t>(3 * s.in), lowest_level(dtype))};
    const Levels w{s.w, std::vector<int64_t>(static_cast<size_t>(s.out * s.in), -128)};
    expect_plain(s, x, w, {s.bias, {12345, -9}}, kTeams);
    s.bias = DType::kInt64;
    if (dtype == DType::kInt16) expect_plain(s, x, w, {s.bias, {12345, -9}}, kTeams);
  }
}

TEST(LevelConv, EmptySizes) {
  constexpr int kTeams[] = {1, 4};
  for (const auto& [batch, in, out] :
       {std::array<int64_t, 3>{0, 4, 5}, {3, 0, 5}, {3, 4, 0}, {0, int64_t{1} << 40, 0}}) {
    const LevelConvSpec s = connected(batch, in, out);
    const auto zeros = [](int64_t count) {
      return std::vector<int64_t>(static_cast<size_t>(count), 3);
    };
    expect_plain(s, {s.x, zeros(batch * in)}, {s.w, zeros(in * out)}, {s.bias, zeros(out)}, kTeams);
  }
  LevelConvSpec s = connected(0, int64_t{1} << 31, 0);
  s.kernel_rows = s.kernel_columns = int64_t{1} << 15;
  expect_plain(s, {s.x, {}}, {s.w, {}}, {s.bias, {}}, kTeams);
}

}  // namespace
}  // namespace tenon::kernels
