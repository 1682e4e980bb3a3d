#include "tenon/kernels/conv.h"

#include "tenon/kernels/convolution/conv_testing.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/kernels/kernel_testing.h"

namespace tenon::kernels {
namespace {

std::vector<ConvSpec> all_specs() {
  return {spec_of(2, {8, 8}, 3, 8, {3, 3}, 1, 1, Padding::kSame, 1),
          spec_of(3, {9, 7}, 16, 32, {3, 3}, 2, 1, Padding::kSame, 1),
          spec_of(1, {12, 12}, 4, 6, {5, 3}, 1, 2, Padding::kValid, 1),
          spec_of(2, {6, 6}, 32, 16, {1, 1}, 1, 1, Padding::kValid, 1),
          spec_of(2, {7, 7}, 5, 4, {3, 3}, 2, 1, Padding::kExplicit, 1),
          spec_of(2, {8, 8}, 8, 12, {3, 3}, 1, 1, Padding::kSame, 4),
          spec_of(2, {9, 9}, 16, 16, {3, 3}, 1, 1, Padding::kSame, 16),
          spec_of(2, {9, 9}, 6, 12, {3, 3}, 2, 1, Padding::kSame, 6),
          spec_of(1, {28, 28}, 1, 32, {3, 3}, 1, 1, Padding::kValid, 1),
          spec_of(3, {15, 11}, 3, 48, {3, 3}, 2, 1, Padding::kSame, 1),
          spec_of(2, {9, 13}, 4, 16, {1, 2}, 1, 1, Padding::kExplicit, 1),
          spec_of(3, {13, 13}, 32, 64, {3, 3}, 1, 1, Padding::kValid, 1),
          spec_of(2, {7, 16}, 48, 32, {3, 3}, 1, 1, Padding::kSame, 1),
          spec_of(1, {5, 6}, 32, 112, {3, 3}, 1, 1, Padding::kExplicit, 1),
          spec_of(2, {13, 12}, 24, 72, {1, 1}, 2, 1, Padding::kSame, 1),
          spec_of(1, {7, 7}, 1100, 70, {1, 1}, 1, 1, Padding::kValid, 1),
          spec_of(2, {14, 14}, 130, 33, {3, 3}, 1, 2, Padding::kSame, 1),
          spec_of(1, {20, 17}, 20, 24, {7, 7}, 3, 1, Padding::kSame, 2),
          spec_of(2, {9, 9}, 5, 10, {3, 3}, 1, 1, Padding::kSame, 5),
          spec_of(1, {9, 11}, 100, 100, {5, 5}, 2, 1, Padding::kSame, 100),
          spec_of(1, {9, 11}, 70, 70, {3, 3}, 1, 2, Padding::kSame, 70),
          spec_of(1, {12, 12}, 160, 160, {3, 3}, 1, 1, Padding::kSame, 1),
          spec_of(2, {5, 31}, 24, 24, {5, 5}, 1, 1, Padding::kSame, 24),
          spec_of(1, {9, 23}, 40, 40, {7, 7}, 2, 1, Padding::kSame, 40),
          spec_of(1, {3, 2}, 17, 17, {7, 7}, 1, 1, Padding::kSame, 17),
          spec_of(2, {8, 8}, 16, 16, {3, 3}, 3, 1, Padding::kValid, 16),
          spec_of(1, {8, 9}, 16, 16, {4, 2}, 1, 1, Padding::kSame, 16),
          spec_of(2, {4, 4}, 6, 7, {2, 2}, 3, 1, Padding::kValid, 1)};
}

size_t at(int64_t i) { return static_cast<size_t>(i); }
double wide(float x) { return static_cast<double>(x); }

TEST(Convolution, ForwardAndGradientsAgreeWithTheDefinition) {
  for (int threads : {1, 2}) {
    if (TENON_SANITIZED && threads == 1) continue;
    const ScopedTeam team(threads);
    int number = 0;
    for (const ConvSpec& s : all_specs()) {
      SCOPED_TRACE(number++);
      const auto x = random_floats(inputs_of(s), 1);
      const auto w = random_floats(filters_of(s), 2);
      const auto dy = random_floats(outputs_of(s), 3);
      std::vector<double> y(dy.size(), 0.0), dx(x.size(), 0.0), dw(w.size(), 0.0);
      NaiveConv{s}.products([&](int64_t xi, int64_t wi, int64_t yi) {
        y[at(yi)] += wide(x[at(xi)]) * wide(w[at(wi)]);
        dx[at(xi)] += wide(dy[at(yi)]) * wide(w[at(wi)]);
        dw[at(wi)] += wide(dy[at(yi)]) * wide(x[at(xi)]);
      });
      auto forward = Convolution::make(s);
      auto back_input = ConvolutionInputGradient::make(s);
      auto back_filter = ConvolutionFilterGradient::make(s);
      ASSERT_TRUE(forward.ok()) << forward.status();
      ASSERT_TRUE(back_input.ok()) << back_input.status();
      ASSERT_TRUE(back_filter.ok()) << back_filter.status();
      AlignedBytes scratch(std::max(
          {forward->scratch_bytes(), back_input->scratch_bytes(), back_filter->scratch_bytes()}));
      std::vector<float> got_y(y.size()), got_dx(x.size()), got_dw(w.size());
      forward->run({.input = x.data(), .filter = w.data(), .output = got_y.data()}, scratch.get());
      expect_close(got_y, y, 1e-5, 5e-5);
      back_input->run(dy.data(), w.data(), got_dx.data(), scratch.get());
      expect_close(got_dx, dx, 1e-5, 5e-5);
      back_filter->run(x.data(), dy.data(), got_dw.data(), scratch.get());
      expect_close(got_dw, dw, 1e-5, 1e-4);
      std::vector<float> again(w.size());
      back_filter->run(x.data(), dy.data(), again.data(), scratch.get());
      EXPECT_TRUE(same_bits(got_dw, again));
    }
  }
}

TEST(Convolution, PlainLoopsAgreeWithTheDefinition) {
  for (const ConvSpec& s : all_specs()) {
    const auto xf = random_floats(inputs_of(s), 1);
    const auto wf = random_floats(filters_of(s), 2);
    const auto dyf = random_floats(outputs_of(s), 3);
    const std::vector<double> x(xf.begin(), xf.end()), w(wf.begin(), wf.end()),
        dy(dyf.begin(), dyf.end());
    std::vector<double> y(dy.size(), 0.0), dx(x.size(), 0.0), dw(w.size(), 0.0);
    NaiveConv{s}.products([&](int64_t xi, int64_t wi, int64_t yi) {
      y[at(yi)] += x[at(xi)] * w[at(wi)];
      dx[at(xi)] += dy[at(yi)] * w[at(wi)];
      dw[at(wi)] += dy[at(yi)] * x[at(xi)];
    });
    std::vector<double> got_y(y.size()), got_dx(x.size()), got_dw(w.size());
    reference_conv(s, x.data(), w.data(), got_y.data());
    reference_conv_input_gradient(s, dy.data(), w.data(), got_dx.data());
    reference_conv_filter_gradient(s, x.data(), dy.data(), got_dw.data());
    expect_close(got_y, y, 1e-12, 1e-12);
    expect_close(got_dx, dx, 1e-12, 1e-12);
    expect_close(got_dw, dw, 1e-12, 1e-12);
  }
}

TEST(Convolution, PackedFilterServesEveryBatchWithTheSameBits) {
  for (ConvSpec s : all_specs()) {
    const PackedLayout layout = conv_packed_layout(s);
    const auto w = random_floats(filters_of(s), 2);
    AlignedBytes packed(layout.bytes());
    if (!layout.is_plain()) {
      ASSERT_TRUE(pack_conv_filter(layout, s, w.data(), packed.get()).ok());
    }
    s.packed = layout;
    s.post = {.bias = true, .activation = Activation::kRelu};
    const auto bias = random_floats(s.out_channels, 5);
    s.batch = 5;
    const auto x = random_floats(inputs_of(s), 1);
    std::vector<float> first;
    for (int64_t batch : {1, 2, 5}) {
      s.batch = batch;
      auto conv = Convolution::make(s);
      ASSERT_TRUE(conv.ok()) << conv.status();
      AlignedBytes scratch(conv->scratch_bytes());
      std::vector<float> y(at(outputs_of(s)));
      const void* filter = layout.is_plain() ? static_cast<const void*>(w.data()) : packed.get();
      conv->run({.input = x.data(), .filter = filter, .output = y.data(), .bias = bias.data()},
                scratch.get());
      y.resize(y.size() / at(batch));
      if (first.empty()) first = y;
      EXPECT_TRUE(same_bits(first, y)) << "batch " << batch;
    }
    s.batch = 1;
    std::vector<double> want(first.size(), 0.0);
    NaiveConv{s}.products([&](int64_t xi, int64_t wi, int64_t yi) {
      want[at(yi)] += wide(x[at(xi)]) * wide(w[at(wi)]);
    });
    for (size_t i = 0; i < want.size(); ++i) {
      want[i] = std::max(0.0, want[i] + wide(bias[i % bias.size()]));
    }
    expect_close(first, want, 1e-5, 5e-5);
  }
}

// TensorFlow 2.21: tf.nn.relu and relu6 of bias_add of conv2d, fused or not, keep a NaN.
TEST(Convolution, ReluKeepsNaN) {
  for (const ConvSpec& plain : {spec_of(1, {6, 6}, 3, 16, {3, 3}, 1, 1, Padding::kValid, 1),
                                spec_of(1, {6, 6}, 3, 15, {3, 3}, 1, 1, Padding::kValid, 1),
                                spec_of(1, {6, 6}, 32, 32, {3, 3}, 1, 1, Padding::kValid, 1)}) {
    for (Activation activation : {Activation::kRelu, Activation::kRelu6}) {
      ConvSpec s = plain;
      s.post = {.bias = true, .activation = activation};
      std::vector<float> x(at(inputs_of(s)), 1.0f), y(at(outputs_of(s)));
      x[0] = NAN;
      const std::vector<float> w(at(filters_of(s)), -1.0f), bias(at(s.out_channels), 0.0f);
      const auto conv = Convolution::make(s);
      AlignedBytes scratch(conv->scratch_bytes());
      conv->run({.input = x.data(), .filter = w.data(), .output = y.data(), .bias = bias.data()},
                scratch.get());
      EXPECT_TRUE(std::isnan(y.front()));
      EXPECT_EQ(y.back(), 0.0f);
    }
  }
}

TEST(Convolution, RanksOneAndThree) {
  for (int rank : {1, 3}) {
    ConvSpec s;
    s.rank = rank;
    s.batch = 2;
    s.in_channels = 4;
    s.out_channels = 6;
    for (size_t d = 0; d < static_cast<size_t>(rank); ++d) {
      s.input[d] = 7;
      s.kernel[d] = 3;
      const Window w = window_of(7, 3, 1, 1, Padding::kSame).value();
      s.output[d] = w.output;
      s.pad_before[d] = w.pad_before;
      s.pad_after[d] = w.pad_after;
    }
    const auto x = random_floats(inputs_of(s), 1);
    const auto w = random_floats(filters_of(s), 2);
    std::vector<double> want(at(outputs_of(s)), 0.0);
    NaiveConv{s}.products([&](int64_t xi, int64_t wi, int64_t yi) {
      want[at(yi)] += wide(x[at(xi)]) * wide(w[at(wi)]);
    });
    auto conv = Convolution::make(s);
    ASSERT_TRUE(conv.ok()) << conv.status();
    AlignedBytes scratch(conv->scratch_bytes());
    std::vector<float> y(want.size());
    conv->run({.input = x.data(), .filter = w.data(), .output = y.data()}, scratch.get());
    expect_close(y, want, 1e-5, 5e-5);
  }
}

// TensorFlow's documented output sizes: SAME ceil(in / stride), VALID ceil((in - k + 1) / stride).
TEST(WindowOf, FollowsTensorFlowsFormulas) {
  const Window same = window_of(7, 3, 2, 1, Padding::kSame).value();
  EXPECT_EQ(same.output, 4);
  EXPECT_EQ(same.pad_before, 1);
  EXPECT_EQ(same.pad_after, 1);
  const Window uneven = window_of(8, 3, 2, 1, Padding::kSame).value();
  EXPECT_EQ(uneven.pad_before, 0);
  EXPECT_EQ(uneven.pad_after, 1);
  EXPECT_EQ(window_of(8, 3, 2, 1, Padding::kValid).value().output, 3);
  EXPECT_EQ(window_of(2, 3, 1, 1, Padding::kValid).value().output, 0);
  EXPECT_EQ(window_of(1, 3, 1, 1, Padding::kValid).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::kernels
