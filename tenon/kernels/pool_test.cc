#include "tenon/kernels/pool.h"

#include <functional>

#include "tenon/core/float16.h"
#include "tenon/kernels/kernel_testing.h"

namespace tenon::kernels {
namespace {

PoolSpec spec_2d(int64_t batch, int64_t size, int64_t channels, int64_t window, int64_t stride,
                 int64_t pad, int64_t output) {
  PoolSpec s;
  s.batch = batch;
  s.channels = channels;
  for (size_t d = 0; d < 2; ++d) {
    s.input[d] = size;
    s.output[d] = output;
    s.window[d] = window;
    s.stride[d] = stride;
    s.pad_before[d] = pad;
  }
  return s;
}

const std::vector<PoolSpec> kSpecs = {
    spec_2d(2, 8, 3, 2, 2, 0, 4), spec_2d(1, 7, 17, 3, 2, 1, 4), spec_2d(3, 6, 300, 3, 1, 1, 6),
    spec_2d(2, 5, 1, 3, 3, 0, 1), spec_2d(2, 8, 37, 2, 3, 0, 3), spec_2d(2, 7, 33, 2, 2, 1, 4)};

size_t inputs(const PoolSpec& s) {
  return static_cast<size_t>(s.batch * s.input[0] * s.input[1] * s.channels);
}
size_t outputs(const PoolSpec& s) {
  return static_cast<size_t>(s.batch * s.output[0] * s.output[1] * s.channels);
}

// body(output element, input element) for the cells of each window in row-major order.
void walk(const PoolSpec& s, const std::function<void(size_t, size_t)>& body) {
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t oy = 0; oy < s.output[0]; ++oy)
      for (int64_t ox = 0; ox < s.output[1]; ++ox)
        for (int64_t c = 0; c < s.channels; ++c)
          for (int64_t ky = 0; ky < s.window[0]; ++ky)
            for (int64_t kx = 0; kx < s.window[1]; ++kx) {
              const int64_t y = oy * s.stride[0] - s.pad_before[0] + ky;
              const int64_t x = ox * s.stride[1] - s.pad_before[1] + kx;
              if (y < 0 || x < 0 || y >= s.input[0] || x >= s.input[1]) continue;
              body(
                  static_cast<size_t>(((n * s.output[0] + oy) * s.output[1] + ox) * s.channels + c),
                  static_cast<size_t>(((n * s.input[0] + y) * s.input[1] + x) * s.channels + c));
            }
}

TEST(MaxPool, ForwardArgmaxAndGradientFollowTheDefinition) {
  for (int threads : {1, 2}) {
    const ScopedTeam team(threads);
    for (const PoolSpec& s : kSpecs) {
      auto x = random_floats(static_cast<int64_t>(inputs(s)), 1);
      for (float& v : x) v = std::round(v * 4);  // many ties
      const auto dy = random_floats(static_cast<int64_t>(outputs(s)), 2);
      std::vector<float> want(outputs(s), -INFINITY);
      std::vector<int64_t> where(outputs(s), -1);
      walk(s, [&](size_t o, size_t i) {
        if (x[i] > want[o]) {
          want[o] = x[i];
          where[o] = static_cast<int64_t>(i);
        }
      });
      std::vector<float> y(outputs(s)), y2(outputs(s));
      std::vector<int64_t> argmax(outputs(s));
      max_pool(s, x.data(), y.data());
      EXPECT_EQ(y, want);
      max_pool_with_argmax(s, x.data(), true, y2.data(), argmax.data());
      EXPECT_EQ(y2, want);
      EXPECT_EQ(argmax, where);
      std::vector<double> want_dx(inputs(s), 0.0);
      for (size_t o = 0; o < where.size(); ++o) {
        want_dx[static_cast<size_t>(where[o])] += static_cast<double>(dy[o]);
      }
      std::vector<float> dx(inputs(s), NAN);
      max_pool_gradient(s, x.data(), y.data(), dy.data(), dx.data());
      expect_close(dx, want_dx, 1e-6, 1e-6);
    }
  }
}

// tf.nn.max_pool2d and tf.raw_ops.MaxPoolGrad of TensorFlow 2.21 on the CPU.
TEST(MaxPool, PassesOverNaN) {
  const PoolSpec s = spec_2d(1, 2, 16, 2, 2, 0, 1);
  const int64_t largest[] = {1, 2, 3, 0};    // by the cell that is NaN; the next one holds a 3
  const int64_t first_hit[] = {0, 2, 3, 0};  // a NaN in front keeps the gradient
  for (size_t cell = 0; cell < 4; ++cell) {
    std::vector<float> x(64, 0.0f), y(16), dx(64), want(64, 0.0f);
    const std::vector<float> dy(16, 1.0f);
    std::fill_n(x.begin() + static_cast<int64_t>(cell) * 16, 16, NAN);
    std::fill_n(x.begin() + largest[cell] * 16, 16, 3.0f);
    std::fill_n(want.begin() + first_hit[cell] * 16, 16, 1.0f);
    max_pool(s, x.data(), y.data());
    EXPECT_EQ(y, std::vector<float>(16, 3.0f));
    max_pool_gradient(s, x.data(), y.data(), dy.data(), dx.data());
    EXPECT_EQ(dx, want);
  }
}

TEST(MaxPool, WithoutAFiniteNumberIsTheLowest) {
  const PoolSpec s = spec_2d(1, 2, 16, 2, 2, 0, 1);
  for (const float nothing : {-INFINITY, NAN}) {
    const std::vector<float> x(64, nothing), dy(16, 1.0f);
    std::vector<float> y(16), dx(64), want(64, 0.0f);
    std::fill_n(want.begin(), 16, 1.0f);
    max_pool(s, x.data(), y.data());
    EXPECT_EQ(y, std::vector<float>(16, std::numeric_limits<float>::lowest()));
    max_pool_gradient(s, x.data(), y.data(), dy.data(), dx.data());
    EXPECT_EQ(dx, want);
  }
}

TEST(AveragePool, DividesByTheCellsInsideTheInput) {
  for (int threads : {1, 2}) {
    const ScopedTeam team(threads);
    for (const PoolSpec& s : kSpecs) {
      const auto x = random_floats(static_cast<int64_t>(inputs(s)), 1);
      const auto dy = random_floats(static_cast<int64_t>(outputs(s)), 2);
      std::vector<double> sums(outputs(s), 0.0), counts(outputs(s), 0.0), want_dx(inputs(s), 0.0);
      walk(s, [&](size_t o, size_t i) {
        sums[o] += static_cast<double>(x[i]);
        counts[o] += 1;
      });
      for (size_t o = 0; o < sums.size(); ++o) sums[o] /= counts[o];
      walk(s, [&](size_t o, size_t i) { want_dx[i] += static_cast<double>(dy[o]) / counts[o]; });
      std::vector<float> y(outputs(s)), dx(inputs(s), NAN);
      average_pool(s, x.data(), y.data());
      expect_close(y, sums, 1e-6, 1e-6);
      average_pool_gradient(s, dy.data(), dx.data());
      expect_close(dx, want_dx, 1e-6, 1e-6);
      const std::vector<double> wide(x.begin(), x.end());
      std::vector<double> wide_y(outputs(s));
      average_pool(s, wide.data(), wide_y.data());
      expect_close(wide_y, sums, 1e-12, 1e-12);
    }
  }
}

}  // namespace
}  // namespace tenon::kernels
