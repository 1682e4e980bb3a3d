#include "tenon/kernels/optimizer.h"

#include "tenon/kernels/kernel_testing.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kCount = 20003;

struct Slots {
  Slots() {
    const std::vector<float> values = random_floats(kCount, 2);
    std::copy(values.begin(), values.end(), w.begin());
  }
  AlignedBytes memory{kCount * sizeof(float)};  // where a team streams
  std::span<float> w{static_cast<float*>(memory.get()), kCount};
  std::vector<float> g = random_floats(kCount, 1);
  std::vector<float> a = random_floats(kCount, 3, 0.1f, 1);
  std::vector<float> b = random_floats(kCount, 4, 0.1f, 1);
  std::vector<float> c = random_floats(kCount, 5, 0.1f, 1);
};

double d(float x) { return static_cast<double>(x); }

// `update` runs the kernel; `truth(g, w, a, b, c)` changes one element in double precision by the
// formula in reference/formats.md 11.4 or of TensorFlow's op.
template <class Update, class Truth>
void expect_update(Update update, Truth truth) {
  Slots got;
  update(got);
  const Slots before;
  for (size_t i = 0; i < before.g.size(); i += 101) {
    double w = d(before.w[i]), a = d(before.a[i]), b = d(before.b[i]), c = d(before.c[i]);
    truth(d(before.g[i]), w, a, b, c);
    ASSERT_NEAR(d(got.w[i]), w, 2e-6);
    ASSERT_NEAR(d(got.a[i]), a, 2e-6);
    ASSERT_NEAR(d(got.b[i]), b, 2e-6);
    ASSERT_NEAR(d(got.c[i]), c, 2e-6);
  }
  Slots shared;
  const ScopedTeam team(2);
  update(shared);
  EXPECT_EQ(std::memcmp(shared.w.data(), got.w.data(), shared.w.size_bytes()), 0);
}

TEST(Optimizer, GradientDescentAndMomentum) {
  expect_update([](Slots& s) { apply_gradient_descent(kCount, 0.1f, s.g.data(), s.w.data()); },
                [](double g, double& w, double&, double&, double&) { w -= 0.1 * g; });
  for (bool nesterov : {false, true}) {
    expect_update(
        [&](Slots& s) {
          apply_keras_momentum(kCount, 0.1f, 0.9f, nesterov, s.g.data(), s.w.data(), s.a.data());
        },
        [&](double g, double& w, double& m, double&, double&) {
          m = 0.9 * m - 0.1 * g;
          w += nesterov ? 0.9 * m - 0.1 * g : m;
        });
    expect_update(
        [&](Slots& s) {
          apply_momentum(kCount, 0.1f, 0.9f, nesterov, s.g.data(), s.w.data(), s.a.data());
        },
        [&](double g, double& w, double& m, double&, double&) {
          m = 0.9 * m + g;
          w -= nesterov ? 0.1 * g + 0.1 * 0.9 * m : 0.1 * m;
        });
  }
}

TEST(Optimizer, Adam) {
  for (int form = 0; form < 3; ++form) {
    const AdamParameters<float> p{.alpha = 0.01f,
                                  .one_minus_beta1 = 0.1f,
                                  .one_minus_beta2 = 0.001f,
                                  .epsilon = 1e-3f,
                                  .nesterov = form == 1,
                                  .beta1 = 0.9f};
    expect_update(
        [&](Slots& s) {
          apply_adam(kCount, p, s.g.data(), s.w.data(), s.a.data(), s.b.data(),
                     form == 2 ? s.c.data() : nullptr);
        },
        [&](double g, double& w, double& m, double& v, double& v_hat) {
          m += (g - m) * 0.1;
          v += (g * g - v) * 0.001;
          double second = v;
          if (form == 2) second = v_hat = std::max(v_hat, v);
          const double first = form == 1 ? 0.9 * m + 0.1 * g : m;
          w -= first * 0.01 / (std::sqrt(second) + 1e-3);
        });
  }
}

TEST(Optimizer, RmsProp) {
  expect_update(
      [](Slots& s) {
        apply_rms_prop<float>(kCount, {0.01f, 0.9f, 0.1f, 0.0f, 1e-3f}, s.g.data(), s.w.data(),
                              s.a.data(), nullptr, nullptr);
      },
      [](double g, double& w, double& v, double&, double&) {
        v = 0.9 * v + 0.1 * g * g;
        w -= 0.01 * g / std::sqrt(v + 1e-3);
      });
  expect_update(
      [](Slots& s) {
        for (float& x : s.a) x += 2;  // keeps v - a^2 positive
        apply_rms_prop<float>(kCount, {0.01f, 0.9f, 0.1f, 0.5f, 1e-3f}, s.g.data(), s.w.data(),
                              s.a.data(), s.b.data(), s.c.data());
      },
      [](double g, double& w, double& v, double& m, double& a) {
        v += 2;
        v = 0.9 * v + 0.1 * g * g;
        a = 0.9 * a + 0.1 * g;
        m = 0.5 * m + 0.01 * g / std::sqrt(v - a * a + 1e-3);
        w -= m;
      });
}

TEST(Optimizer, AdagradAdadeltaAndFtrl) {
  expect_update(
      [](Slots& s) {
        apply_adagrad(kCount, 0.01f, 0.0f, 1e-3f, true, s.g.data(), s.w.data(), s.a.data());
      },
      [](double g, double& w, double& a, double&, double&) {
        a += g * g;
        w -= 0.01 * g / (std::sqrt(a) + 1e-3);
      });
  expect_update(
      [](Slots& s) {
        apply_adadelta(kCount, 0.5f, 0.95f, 1e-3f, s.g.data(), s.w.data(), s.a.data(), s.b.data());
      },
      [](double g, double& w, double& a, double& u, double&) {
        a = 0.95 * a + (1 - d(0.95f)) * g * g;
        const double step = std::sqrt(u + 1e-3) / std::sqrt(a + 1e-3) * g;
        u = 0.95 * u + (1 - d(0.95f)) * step * step;
        w -= 0.5 * step;
      });
  const FtrlParameters<float> p{0.1f, 0.01f, 0.02f, 0.03f, -0.5f};
  expect_update(
      [&](Slots& s) { apply_ftrl(kCount, p, s.g.data(), s.w.data(), s.a.data(), s.b.data()); },
      [&](double g, double& w, double& n, double& z, double&) {
        const double after = n + g * g;
        z += g + 2 * 0.03 * w - (std::sqrt(after) - std::sqrt(n)) / 0.1 * w;
        const double q = std::sqrt(after) / 0.1 + 2 * 0.02;
        w = (std::clamp(z, -0.01, 0.01) - z) / q;
        n = after;
      });
}

}  // namespace
}  // namespace tenon::kernels
