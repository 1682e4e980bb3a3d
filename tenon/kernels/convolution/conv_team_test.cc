// What merging requests and --threads rest on: a convolution has the same bits in any batch and for
// any team.
#include "tenon/kernels/convolution/conv_testing.h"
#include "tenon/kernels/kernel_testing.h"

namespace tenon::kernels {
namespace {

constexpr int kTeams[] = {1, 2, 3, 8, 32};
constexpr int64_t kBatches[] = {1, 2, 3, 5, 33};

// One for each way that conv.cc has.
std::vector<ConvSpec> team_specs() {
  return {spec_of(1, {24, 24}, 64, 128, {3, 3}, 1, 1, Padding::kSame, 1),
          spec_of(1, {13, 11}, 32, 64, {3, 3}, 1, 1, Padding::kSame, 1),
          spec_of(1, {14, 14}, 256, 192, {3, 3}, 1, 1, Padding::kSame, 1),
          spec_of(1, {13, 11}, 3, 48, {3, 3}, 2, 1, Padding::kSame, 1),
          spec_of(1, {14, 14}, 96, 144, {1, 1}, 1, 1, Padding::kValid, 1),
          spec_of(1, {9, 9}, 40, 70, {3, 3}, 2, 1, Padding::kSame, 1),
          spec_of(1, {9, 9}, 24, 30, {5, 5}, 1, 1, Padding::kSame, 1),
          spec_of(1, {9, 7}, 32, 48, {3, 3}, 1, 2, Padding::kSame, 4),
          spec_of(1, {10, 10}, 72, 72, {3, 3}, 1, 1, Padding::kSame, 72),
          spec_of(1, {11, 9}, 40, 40, {5, 5}, 2, 1, Padding::kSame, 40),
          spec_of(1, {16, 33}, 72, 72, {5, 5}, 1, 1, Padding::kSame, 72),
          spec_of(1, {9, 15}, 70, 70, {7, 7}, 1, 1, Padding::kExplicit, 70),
          spec_of(1, {10, 10}, 24, 24, {3, 3}, 1, 2, Padding::kSame, 24),
          spec_of(1, {9, 9}, 6, 12, {3, 3}, 1, 1, Padding::kSame, 6)};
}

struct ConvResults {
  std::vector<float> y, packed_y, dx, dw;
};

// Forward of a constant filter.
std::vector<float> packed_results_of(ConvSpec s, const ConvPointers& pointers) {
  std::vector<float> y(static_cast<size_t>(outputs_of(s)));
  s.packed = conv_packed_layout(s);
  AlignedBytes packed(s.packed.bytes());
  ConvPointers p = pointers;
  p.output = y.data();
  if (!s.packed.is_plain()) {
    const auto* const filter = static_cast<const float*>(p.filter);
    EXPECT_TRUE(pack_conv_filter(s.packed, s, filter, packed.get()).ok());
    p.filter = packed.get();
  }
  const auto conv = Convolution::make(s);
  AlignedBytes scratch(conv->scratch_bytes());
  conv->run(p, scratch.get());
  return y;
}

// Of the first `batch` images.
ConvResults results_of(ConvSpec s, int64_t batch, Precision precision, const std::vector<float>& x,
                       const std::vector<float>& w, const std::vector<float>& dy) {
  s.batch = batch;
  s.precision = precision;
  s.post = {.bias = true, .activation = Activation::kRelu};
  const auto forward = Convolution::make(s);
  const auto back_input = ConvolutionInputGradient::make(s);
  const auto back_filter = ConvolutionFilterGradient::make(s);
  AlignedBytes scratch(std::max(
      {forward->scratch_bytes(), back_input->scratch_bytes(), back_filter->scratch_bytes()}));
  ConvResults got{std::vector<float>(static_cast<size_t>(outputs_of(s))),
                  {},
                  std::vector<float>(static_cast<size_t>(inputs_of(s))),
                  std::vector<float>(w.size())};
  const auto bias = random_floats(s.out_channels, 4);
  const ConvPointers pointers{
      .input = x.data(), .filter = w.data(), .output = got.y.data(), .bias = bias.data()};
  forward->run(pointers, scratch.get());
  got.packed_y = packed_results_of(s, pointers);
  back_input->run(dy.data(), w.data(), got.dx.data(), scratch.get());
  back_filter->run(x.data(), dy.data(), got.dw.data(), scratch.get());
  return got;
}

bool begins_with(const std::vector<float>& all, const std::vector<float>& first) {
  return all.size() >= first.size() &&
         std::memcmp(all.data(), first.data(), first.size() * sizeof(float)) == 0;
}

TEST(ConvolutionTeams, EveryBatchAndTeamHasTheSameBits) {
  for (Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
    int number = 0;
    for (ConvSpec s : team_specs()) {
      SCOPED_TRACE(number++);
      s.batch = 33;
      const auto x = random_floats(inputs_of(s), 1);
      const auto w = random_floats(filters_of(s), 2);
      const auto dy = random_floats(outputs_of(s), 3);
      const ConvResults alone = results_of(s, 1, precision, x, w, dy);
      for (int64_t batch : kBatches) {
        // For time's sake.
        constexpr int64_t kMostWork = TENON_SANITIZED ? 50'000'000 : 500'000'000;
        if (batch * filters_of(s) * cells(s.output) > kMostWork) continue;
        ConvResults first;
        for (int threads : kTeams) {
          const ScopedTeam team(threads);
          const ConvResults got = results_of(s, batch, precision, x, w, dy);
          if (first.y.empty()) first = got;
          const auto where = ::testing::Message() << "batch " << batch << ", team " << threads;
          EXPECT_TRUE(begins_with(got.y, alone.y)) << where;
          EXPECT_TRUE(same_bits(got.y, first.y)) << where;
          EXPECT_TRUE(begins_with(got.packed_y, alone.packed_y)) << where;
          EXPECT_TRUE(same_bits(got.packed_y, first.packed_y)) << where;
          EXPECT_TRUE(begins_with(got.dx, alone.dx)) << where;
          EXPECT_TRUE(same_bits(got.dx, first.dx)) << where;
          EXPECT_TRUE(same_bits(got.dw, first.dw)) << where;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tenon::kernels
