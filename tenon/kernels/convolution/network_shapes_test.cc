// The convolutions and products of fifteen known networks (testdata/network_shapes.txt, made by
// tests/support/network_shapes.py): none is ever done by a reference implementation, whatever the
// team, the batch and the precision are.
#include <fstream>
#include <sstream>

#include "tenon/base/strings.h"
#include "tenon/kernels/convolution/conv_testing.h"
#include "tenon/kernels/kernel_testing.h"
#include "tenon/kernels/matmul.h"

namespace tenon::kernels {
namespace {

constexpr int kNetworkTeams[] = {1, 2, 7, 64};
constexpr int64_t kNetworkBatches[] = {1, 3, 32};
constexpr Precision kPrecisions[] = {Precision::kFloat32, Precision::kBfloat16};

struct NetworkShape {
  std::string line;
  bool product = false;
  int64_t height = 1, width = 1, in = 0, out = 0;
  std::array<int64_t, 2> kernel{}, stride{};
  int64_t dilation = 1;
  std::string padding;
  int64_t groups = 1;
};

std::vector<NetworkShape> network_shapes() {
  std::ifstream file(TENON_SOURCE_DIR "/tenon/kernels/convolution/testdata/network_shapes.txt");
  std::vector<NetworkShape> shapes;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    NetworkShape s;
    s.line = line;
    std::string kind;
    words >> kind;
    s.product = kind == "product";
    if (s.product) {
      words >> s.in >> s.out;
    } else if (kind == "conv") {
      words >> s.height >> s.width >> s.in >> s.out >> s.kernel[0] >> s.kernel[1] >> s.stride[0] >>
          s.stride[1] >> s.dilation >> s.padding >> s.groups;
    } else {
      continue;
    }
    shapes.push_back(std::move(s));
  }
  return shapes;
}

ConvSpec conv_of(const NetworkShape& n) {
  const Padding padding = n.padding == "same" ? Padding::kSame : Padding::kValid;
  ConvSpec s =
      spec_of(1, {n.height, n.width}, n.in, n.out, n.kernel, 1, n.dilation, padding, n.groups);
  for (size_t i = 0; i < 2; ++i) {
    const Window w = window_of(s.input[i], s.kernel[i], n.stride[i], n.dilation, padding).value();
    s.stride[i] = n.stride[i];
    s.output[i] = w.output;
    s.pad_before[i] = w.pad_before;
    s.pad_after[i] = w.pad_after;
  }
  return s;
}

void expect_fast(const std::string& name) {
  EXPECT_EQ(name.find("ref"), std::string::npos) << name;
  EXPECT_NE(name, "empty");
}

void expect_fast_conv(ConvSpec s, Precision precision) {
  s.batch = 1;
  s.precision = precision;
  s.packed = conv_packed_layout(s);
  for (int threads : kNetworkTeams) {
    const ScopedTeam team(threads);
    for (int64_t batch : kNetworkBatches) {
      s.batch = batch;
      const auto conv = Convolution::make(s);
      ASSERT_TRUE(conv.ok()) << conv.status();
      expect_fast(conv->name());
    }
  }
  expect_fast(ConvolutionInputGradient::make(s)->name());
  expect_fast(ConvolutionFilterGradient::make(s)->name());
}

void expect_fast_product(int64_t k, int64_t n, Precision precision) {
  const PackedLayout packed = matmul_packed_layout(k, n, precision);
  for (int threads : kNetworkTeams) {
    const ScopedTeam team(threads);
    for (int64_t batch : kNetworkBatches) {
      for (const PackedLayout& layout : {PackedLayout(), packed}) {
        MatMulSpec s{.m = batch, .k = k, .n = n, .precision = precision};
        s.packed = layout;
        const auto product = MatMul::make(s);
        ASSERT_TRUE(product.ok()) << product.status();
        expect_fast(product->name());
      }
    }
  }
}

TEST(NetworkShapes, NoReferenceImplementationIsEverChosen) {
  const std::vector<NetworkShape> shapes = network_shapes();
  EXPECT_GT(shapes.size(), 200u);
  for (const NetworkShape& shape : shapes) {
    SCOPED_TRACE(shape.line);
    for (Precision precision : kPrecisions) {
      if (shape.product) {
        expect_fast_product(shape.in, shape.out, precision);
      } else {
        expect_fast_conv(conv_of(shape), precision);
      }
    }
  }
}

}  // namespace
}  // namespace tenon::kernels
