#include "tenon/ops/gradient_rows_test.h"

namespace tenon::gradient_rows {

std::vector<Row> integral_rows() {
  std::vector<Row> rows = {
      {"Dawsn", {x({6}, -3, 3)}},      {"Expint", {x({6}, 0.2, 5)}},
      {"FresnelCos", {x({6}, -3, 3)}}, {"FresnelSin", {x({6}, -3, 3)}},
      {"Spence", {x({6}, 0.1, 4)}},    {"BesselJ0", {x({6}, -8, 8)}},
      {"BesselJ1", {x({6}, -8, 8)}},   {"BesselY0", {x({6}, 0.3, 8)}},
      {"BesselY1", {x({6}, 0.5, 8)}},  {"BesselK0", {x({6}, 0.3, 4)}},
      {"BesselK0e", {x({6}, 0.3, 4)}}, {"BesselK1", {x({6}, 0.5, 4)}},
      {"BesselK1e", {x({6}, 0.5, 4)}},
  };
  for (const bool exclusive : {false, true}) {
    for (const bool reverse : {false, true}) {
      rows.push_back({"CumulativeLogsumexp",
                      {x({2, 3}), scalar(1)},
                      {},
                      [=](GraphBuilder& b, const Endpoints& in) {
                        const Endpoint y = b.op("CumulativeLogsumexp", in,
                                                {{"exclusive", exclusive}, {"reverse", reverse}});
                        // What begins a sum of nothing is -inf, which has no slope.
                        const Endpoint finite = b.op("IsFinite", {y});
                        return Endpoints{b.op("SelectV2", {finite, y, b.zeros_like(y)})};
                      }});
    }
  }
  return rows;
}

// Ops that newer ones have replaced.
std::vector<Row> older_rows() {
  const Tensor places = Tensor::from<int32_t>({3, 1}, std::vector<int32_t>{2, 0, 2});
  const Tensor flags = Tensor::vector<bool>({true, false});
  const auto of_complex = [](std::string op) {
    return [op](GraphBuilder& b, const Endpoints& in) {
      const AttrMap attrs{{"Tout", DType::kComplex128}};
      const Endpoint c = b.op("Complex", {in[0], in[1]}, attrs);
      return Endpoints{b.op(op, {c}, {{"Tout", DType::kDouble}})};
    };
  };
  return {
      {"ComplexAbs", {x({3}, 0.2, 2), x({3})}, {}, of_complex("ComplexAbs")},
      {"Angle", {x({3}, 0.2, 2), x({3})}, {}, of_complex("Angle")},
      {"Reverse", {x({2, 3}), flags}},
      {"ScatterNdNonAliasingAdd", {x({4}), places, x({3})}},
      {"AccumulateNV2", {x({3}), x({3})}, {{"N", int64_t{2}}, {"shape", PartialShape{3}}}},
      {"DebugGradientIdentity", {x({3})}},
      {"DebugIdentityV2", {x({3})}},
      {"Print", {x({3})}, {{"U", std::vector<DType>{}}, {"first_n", int64_t{0}}}},
      {"MaxPoolV2",
       {x({1, 4, 4, 2}), ints({1, 2, 2, 1}), ints({1, 2, 2, 1})},
       {{"padding", std::string("VALID")}},
       nullptr,
       DType::kFloat},
      {"Dilation2D",
       {x({1, 4, 4, 2}), x({2, 2, 2})},
       {{"strides", Ints{1, 1, 1, 1}},
        {"rates", Ints{1, 2, 1, 1}},
        {"padding", std::string("SAME")}}},
      // Nothing is left to chance where the ratio divides the size.
      {"FractionalMaxPool",
       {x({1, 4, 4, 2})},
       {},
       first("FractionalMaxPool", {{"pooling_ratio", std::vector<float>{1, 2, 2, 1}}})},
      {"FractionalAvgPool",
       {x({1, 4, 4, 2})},
       {},
       first("FractionalAvgPool",
             {{"pooling_ratio", std::vector<float>{1, 2, 2, 1}}, {"overlapping", true}})},
      {"BatchNormWithGlobalNormalization",
       {x({1, 2, 2, 3}), x({3}), x({3}, 0.5, 1.5), x({3}), x({3})},
       {{"variance_epsilon", 0.01F}, {"scale_after_normalization", true}}},
      {"BatchNormWithGlobalNormalization",
       {x({1, 2, 2, 3}), x({3}), x({3}, 0.5, 1.5), x({3}), x({3})},
       {{"variance_epsilon", 0.01F}, {"scale_after_normalization", false}}},
      {"SparseMatMul", {x({2, 3}), x({3, 4})}, {}, nullptr, DType::kFloat},
      {"SparseMatMul",
       {x({3, 2}), x({4, 3})},
       {{"transpose_a", true}, {"transpose_b", true}},
       nullptr,
       DType::kFloat},
      {"TensorStridedSliceUpdate", {x({3, 4}), ints({0, 1}), ints({2, 3}), ints({1, 1}), x({2})}},
      {"ApproxTopK", {x({2, 5})}, {}, first("ApproxTopK", {{"k", int64_t{3}}}), DType::kFloat},
      {"IsotonicRegression",
       {x({2, 6})},
       {},
       first("IsotonicRegression", {{"output_dtype", DType::kDouble}})},
      {"BlockLSTM",
       {Tensor::scalar<int64_t>(3), x({3, 2, 2}), x({2, 2}), x({2, 2}), x({4, 8}), x({2}), x({2}),
        x({2}), x({8})},
       {},
       [](GraphBuilder& b, const Endpoints& in) {
         const std::vector<Endpoint> y = b.ops("BlockLSTM", in, {{"use_peephole", true}});
         return Endpoints{y[1], y[6]};
       },
       DType::kFloat},
  };
}

}  // namespace tenon::gradient_rows
