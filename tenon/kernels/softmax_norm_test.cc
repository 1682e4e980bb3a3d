#include "tenon/kernels/kernel_testing.h"
#include "tenon/kernels/norm.h"
#include "tenon/kernels/softmax.h"

namespace tenon::kernels {
namespace {

std::vector<double> softmax_truth(int64_t rows, int64_t columns, const std::vector<float>& x) {
  std::vector<double> y;
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < columns; ++c) {
      sum += std::exp(static_cast<double>(x[static_cast<size_t>(r * columns + c)]));
    }
    for (int64_t c = 0; c < columns; ++c) {
      y.push_back(std::exp(static_cast<double>(x[static_cast<size_t>(r * columns + c)])) / sum);
    }
  }
  return y;
}

TEST(Softmax, ForwardIsRightAndTeamIndependent) {
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{1, 1}, {64, 10}, {3, 1000}, {700, 33}}) {
    const auto x = random_floats(rows * columns, 1, -20, 20);
    const auto want = softmax_truth(rows, columns, x);
    std::vector<float> y(x.size()), logs(x.size()), again(x.size());
    softmax(rows, columns, x.data(), y.data());
    expect_close(y, want, 1e-5, 1e-9);
    log_softmax(rows, columns, x.data(), logs.data());
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(logs[i]), std::log(want[i]), 1e-5);
    }
    const ScopedTeam team(2);
    softmax(rows, columns, x.data(), again.data());
    EXPECT_TRUE(same_bits(y, again));
  }
}

TEST(Softmax, LargeAndInfiniteLogits) {
  const std::vector<float> x{1000, 1000, -INFINITY};
  std::vector<float> y(3);
  softmax<float>(1, 3, x.data(), y.data());
  EXPECT_EQ(y, (std::vector<float>{0.5f, 0.5f, 0.0f}));
}

// Gradient of sum(dy * f(x)) by central differences in double precision.
template <class Forward>
std::vector<double> differences(std::vector<double> x, const std::vector<double>& dy, Forward f) {
  std::vector<double> dx(x.size()), up(dy.size()), down(dy.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    x[i] = at + 1e-5;
    f(x.data(), up.data());
    x[i] = at - 1e-5;
    f(x.data(), down.data());
    x[i] = at;
    for (size_t j = 0; j < dy.size(); ++j) dx[i] += dy[j] * (up[j] - down[j]) / 2e-5;
  }
  return dx;
}

std::vector<double> wide(const std::vector<float>& x) { return {x.begin(), x.end()}; }

TEST(Softmax, GradientsAgreeWithFiniteDifferences) {
  const int64_t rows = 3, columns = 7;
  const auto x = wide(random_floats(rows * columns, 1, -2, 2));
  const auto dy = wide(random_floats(rows * columns, 2));
  std::vector<double> y(x.size()), dx(x.size());
  softmax(rows, columns, x.data(), y.data());
  softmax_gradient(rows, columns, y.data(), dy.data(), dx.data());
  expect_close(
      dx,
      differences(x, dy, [&](const double* in, double* out) { softmax(rows, columns, in, out); }),
      1e-7, 1e-8);
  log_softmax(rows, columns, x.data(), y.data());
  log_softmax_gradient(rows, columns, y.data(), dy.data(), dx.data());
  expect_close(
      dx,
      differences(x, dy,
                  [&](const double* in, double* out) { log_softmax(rows, columns, in, out); }),
      1e-7, 1e-8);
}

TEST(CrossEntropy, BackpropAgreesWithFiniteDifferences) {
  const int64_t rows = 3, columns = 5;
  const auto x = wide(random_floats(rows * columns, 1, -2, 2));
  const int32_t labels[] = {0, 4, 2};
  const std::vector<double> ones(3, 1.0);
  std::vector<double> loss(3), dx(x.size());
  EXPECT_EQ(sparse_softmax_cross_entropy(rows, columns, x.data(), labels, loss.data(), dx.data()),
            -1);
  const auto sparse = [&](const double* in, double* out) {
    sparse_softmax_cross_entropy<double, int32_t>(rows, columns, in, labels, out, nullptr);
  };
  expect_close(dx, differences(x, ones, sparse), 1e-7, 1e-8);
  std::vector<double> one_hot(x.size(), 0.0), dense(3), dense_dx(x.size());
  for (size_t r = 0; r < 3; ++r) one_hot[r * 5 + static_cast<size_t>(labels[r])] = 1;
  softmax_cross_entropy(rows, columns, x.data(), columns, one_hot.data(), columns, dense.data(),
                        dense_dx.data());
  expect_close(dense, loss, 1e-12, 1e-12);
  expect_close(dense_dx, dx, 1e-12, 1e-12);
}

TEST(CrossEntropy, IsRightForAnyNumberOfClasses) {
  for (const int64_t columns : {1, 2, 3, 7, 8, 10, 15, 16, 17, 31, 37, 128, 131, 513, 1100}) {
    const int64_t rows = 1 + 9000 / columns;
    const auto x = random_floats(rows * columns, 1, -20, 20);
    const auto probability = softmax_truth(rows, columns, x);
    std::vector<int64_t> labels;
    for (int64_t row = 0; row < rows; ++row) labels.push_back(row * 7 % columns);
    std::vector<double> want_loss, want_dx = probability;
    for (size_t row = 0; row < labels.size(); ++row) {
      const size_t at = row * static_cast<size_t>(columns) + static_cast<size_t>(labels[row]);
      want_loss.push_back(-std::log(probability[at]));
      want_dx[at] -= 1;
    }
    std::vector<float> loss(labels.size()), dx(x.size()), alone(loss), shared(loss), shared_dx(dx);
    sparse_softmax_cross_entropy(rows, columns, x.data(), labels.data(), loss.data(), dx.data());
    expect_close(loss, want_loss, 1e-6, 2e-6);
    expect_close(dx, want_dx, 1e-5, 5e-7);
    sparse_softmax_cross_entropy<float, int64_t>(rows, columns, x.data(), labels.data(),
                                                 alone.data(), nullptr);
    EXPECT_TRUE(same_bits(alone, loss));
    const ScopedTeam team(2);
    sparse_softmax_cross_entropy(rows, columns, x.data(), labels.data(), shared.data(),
                                 shared_dx.data());
    EXPECT_TRUE(same_bits(shared, loss));
    EXPECT_TRUE(same_bits(shared_dx, dx));
  }
}

TEST(CrossEntropy, ANanOrInfiniteLogitSpoilsItsOwnRowOnly) {
  for (const float bad : {NAN, INFINITY}) {
    for (const size_t at : {10, 15, 19}) {
      std::vector<float> x = random_floats(30, 1), loss(3), dx(30);
      x[at] = bad;
      const int64_t labels[] = {1, 2, 3};
      sparse_softmax_cross_entropy(3, 10, x.data(), labels, loss.data(), dx.data());
      for (size_t row = 0; row < 3; ++row) EXPECT_EQ(std::isnan(loss[row]), row == 1);
      for (size_t i = 0; i < 10; ++i) EXPECT_FALSE(std::isnan(dx[i]) || std::isnan(dx[20 + i]));
      EXPECT_TRUE(std::isnan(dx[at]));
    }
  }
}

TEST(CrossEntropy, NamesTheFirstBadLabel) {
  const std::vector<float> x(6, 1.0f);
  const int64_t labels[] = {1, 3};
  std::vector<float> loss(2), dx(6);
  EXPECT_EQ(sparse_softmax_cross_entropy(2, 3, x.data(), labels, loss.data(), dx.data()), 1);
  EXPECT_NEAR(loss[0], std::log(3.0f), 1e-6f);
  EXPECT_TRUE(std::isnan(loss[1]));
}

struct NormTruth {
  std::vector<double> y, mean, variance;
};

NormTruth norm_truth(int64_t rows, int64_t channels, const std::vector<double>& x,
                     const std::vector<double>& scale, const std::vector<double>& offset,
                     double epsilon) {
  const auto c = static_cast<size_t>(channels);
  NormTruth t{std::vector<double>(x.size()), std::vector<double>(c, 0), std::vector<double>(c, 0)};
  const auto n = static_cast<double>(rows);
  for (size_t i = 0; i < x.size(); ++i) t.mean[i % c] += x[i] / n;
  for (size_t i = 0; i < x.size(); ++i) {
    t.variance[i % c] += (x[i] - t.mean[i % c]) * (x[i] - t.mean[i % c]) / n;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    t.y[i] = (x[i] - t.mean[i % c]) / std::sqrt(t.variance[i % c] + epsilon) * scale[i % c] +
             offset[i % c];
  }
  return t;
}

TEST(BatchNorm, TrainingFormAndItsGradient) {
  for (const auto& size : {std::pair<int64_t, int64_t>{12, 3}, {40, 70}, {777, 5}}) {
    const int64_t rows = size.first, channels = size.second;
    const auto x = random_floats(rows * channels, 1, 2, 4);
    const auto scale = random_floats(channels, 2), offset = random_floats(channels, 3);
    const auto dy = random_floats(rows * channels, 4);
    const float epsilon = 1e-3f;
    const NormTruth want = norm_truth(rows, channels, wide(x), wide(scale), wide(offset),
                                      static_cast<double>(epsilon));
    std::vector<float> y(x.size()), mean(scale.size()), variance(scale.size());
    std::vector<float> factors(static_cast<size_t>(batch_norm_factors(channels)));
    const BatchNorm norm{rows, channels, epsilon, scale.data(), mean.data(), variance.data()};
    batch_norm_training(norm, x.data(), offset.data(), y.data(), mean.data(), variance.data(),
                        factors.data());
    expect_close(y, want.y, 1e-5, 5e-6);
    expect_close(mean, want.mean, 1e-6, 1e-6);
    expect_close(variance, want.variance, 1e-5, 1e-6);
    std::vector<float> dx(x.size()), d_scale(scale.size()), d_offset(scale.size());
    batch_norm_training_gradient(norm, dy.data(), x.data(), dx.data(), d_scale.data(),
                                 d_offset.data(), factors.data());
    const auto loss_in = [&](const std::vector<double>& xs, const std::vector<double>& ss) {
      double loss = 0;
      const NormTruth t =
          norm_truth(rows, channels, xs, ss, wide(offset), static_cast<double>(epsilon));
      for (size_t i = 0; i < t.y.size(); ++i) loss += t.y[i] * static_cast<double>(dy[i]);
      return loss;
    };
    for (size_t i = 0; i < x.size(); i += 7) {
      auto up = wide(x), down = wide(x);
      up[i] += 1e-5;
      down[i] -= 1e-5;
      EXPECT_NEAR(static_cast<double>(dx[i]),
                  (loss_in(up, wide(scale)) - loss_in(down, wide(scale))) / 2e-5, 1e-4);
    }
    for (size_t i = 0; i < scale.size(); i += 5) {
      auto up = wide(scale), down = wide(scale);
      up[i] += 1e-5;
      down[i] -= 1e-5;
      EXPECT_NEAR(static_cast<double>(d_scale[i]),
                  (loss_in(wide(x), up) - loss_in(wide(x), down)) / 2e-5, 1e-4);
    }
    std::vector<float> again(x.size()), mean2(scale.size()), variance2(scale.size());
    const ScopedTeam team(2);
    batch_norm_training(norm, x.data(), offset.data(), again.data(), mean2.data(), variance2.data(),
                        factors.data());
    EXPECT_TRUE(same_bits(y, again));
  }
}

TEST(LayerNorm, NormalisesEachRow) {
  const int64_t rows = 4, columns = 50;
  const auto x = random_floats(rows * columns, 1, 5, 7);
  const auto scale = random_floats(columns, 2), offset = random_floats(columns, 3);
  std::vector<float> y(x.size());
  layer_norm(rows, columns, x.data(), scale.data(), offset.data(), 1e-3f, y.data());
  std::vector<double> want(x.size());
  for (size_t r = 0; r < 4; ++r) {
    double mean = 0, variance = 0;
    for (size_t c = 0; c < 50; ++c) mean += static_cast<double>(x[r * 50 + c]) / 50;
    for (size_t c = 0; c < 50; ++c) {
      variance += std::pow(static_cast<double>(x[r * 50 + c]) - mean, 2) / 50;
    }
    for (size_t c = 0; c < 50; ++c) {
      want[r * 50 + c] = (static_cast<double>(x[r * 50 + c]) - mean) / std::sqrt(variance + 1e-3) *
                             static_cast<double>(scale[c]) +
                         static_cast<double>(offset[c]);
    }
  }
  expect_close(y, want, 1e-5, 5e-6);
}

}  // namespace
}  // namespace tenon::kernels
