#include "tenon/ops/gradient_rows_test.h"

namespace tenon::gradient_rows {
namespace {

Tensor int_matrix(int64_t rows, int64_t columns, std::initializer_list<int32_t> values) {
  return Tensor::from<int32_t>({rows, columns}, std::vector<int32_t>(values));
}

std::string text(const char* value) { return value; }

}  // namespace

std::vector<Row> movement_rows() {
  const Tensor blocks = ints({2, 1}), edges = int_matrix(2, 2, {1, 0, 0, 0});
  const Tensor places = int_matrix(3, 1, {2, 0, 2}), apart = int_matrix(2, 1, {2, 0});
  return {
      {"Roll", {x({3, 4}), ints({1, -2}), ints({0, 1})}},
      {"SpaceToBatchND", {x({1, 3, 2, 2}), blocks, edges}},
      {"BatchToSpaceND", {x({2, 2, 2, 1}), blocks, edges}},
      {"SpaceToBatch",
       {x({1, 3, 2, 1}), int_matrix(2, 2, {1, 0, 0, 0})},
       {{"block_size", int64_t{2}}}},
      {"BatchToSpace",
       {x({4, 2, 1, 1}), int_matrix(2, 2, {1, 0, 0, 0})},
       {{"block_size", int64_t{2}}}},
      {"SpaceToDepth", {x({1, 2, 4, 1})}, {{"block_size", int64_t{2}}}},
      {"DepthToSpace", {x({1, 1, 2, 4})}, {{"block_size", int64_t{2}}}},
      {"ReverseSequence",
       {x({2, 3}), ints({2, 3})},
       {{"seq_dim", int64_t{1}}, {"batch_dim", int64_t{0}}}},
      {"TensorScatterUpdate", {x({4}), apart, x({2})}},
      {"TensorScatterAdd", {x({4}), places, x({3})}},
      {"TensorScatterSub", {x({4}), places, x({3})}},
      {"TensorScatterMax", {x({4}), places, x({3})}},
      {"TensorScatterMin", {x({4}), places, x({3})}},
      {"DynamicStitch", {ints({0, 2}), ints({1}), x({2, 2}), x({1, 2})}, {{"N", int64_t{2}}}},
      {"ParallelDynamicStitch",
       {ints({0, 2}), ints({1}), x({2, 2}), x({1, 2})},
       {{"N", int64_t{2}}}},
      {"DynamicPartition",
       {x({3, 2}), ints({1, 0, 1})},
       {{"num_partitions", int64_t{2}}},
       [](GraphBuilder& b, const Endpoints& in) {
         const Endpoints parts = b.ops("DynamicPartition", in, {{"num_partitions", int64_t{2}}});
         return Endpoints{b.sum(b.mul(parts[0], parts[0]), std::array<int64_t, 1>{0}),
                          b.sum(b.mul(parts[1], parts[1]), std::array<int64_t, 1>{0})};
       }},
      {"TopK", {x({2, 5})}, {}, first("TopK", {{"k", int64_t{3}}})},
      {"TopKV2", {x({2, 5}), scalar(2)}, {}, first("TopKV2")},
      {"NthElement", {x({2, 5}), scalar(1)}},
  };
}

std::vector<Row> special_rows() {
  const Tensor order = Tensor::scalar<double>(2);
  std::vector<Row> rows = {
      {"Igamma", {x({4}, 0.5, 4), x({4}, 0.2, 6)}},
      {"Igammac", {x({4}, 0.5, 4), x({4}, 0.2, 6)}},
      {"Zeta", {order, x({3}, 0.5, 3)}},
      {"Polygamma", {order, x({3}, 0.5, 3)}},
      {"NextAfter", {x({3}), Tensor::scalar<double>(2)}},
      {"Betainc", {Tensor::scalar<double>(1.5), Tensor::scalar<double>(2.5), x({3}, 0.1, 0.9)}},
  };
  for (const char* op : {"BesselI0", "BesselI0e", "BesselI1", "BesselI1e"}) {
    rows.push_back({op, {x({4}, 0.2, 3)}});
  }
  return rows;
}

std::vector<Row> segment_rows() {
  std::vector<Row> rows;
  for (const char* family :
       {"SegmentSum", "SegmentMean", "SegmentProd", "SegmentMax", "SegmentMin"}) {
    // The number of rows follows from the ids: it is not known when the graph is made.
    const auto body = [family](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{b.sum(b.op(family, in), std::array<int64_t, 1>{0})};
    };
    rows.push_back({family, {x({4, 2}, 0.5, 1.5), ints({0, 0, 1, 1})}, {}, body});
    if (family == text("SegmentMean")) continue;
    rows.push_back({cat(family, "V2"),
                    {x({4, 2}, 0.5, 1.5), ints({0, 0, 2, 2}), scalar(4)},
                    {},
                    [family](GraphBuilder& b, const Endpoints& in) {
                      return Endpoints{b.op("Slice", {b.op(cat(family, "V2"), in),
                                                      b.integers({0, 0}), b.integers({1, 2})})};
                    }});
  }
  return rows;
}

std::vector<Row> matrix_rows() {
  const Attrs align{{"align", text("LEFT_RIGHT")}};
  const Tensor band = ints({-1, 1}), none = scalar(-1), zero = Tensor::scalar<double>(0);
  std::vector<Row> rows = {
      {"MatrixDiag", {x({2, 3})}},
      {"MatrixDiagV2", {x({2, 3}), scalar(1), none, none, zero}},
      {"MatrixDiagV3", {x({3, 3}), band, none, none, zero}, align},
      {"MatrixDiagPart", {x({2, 2, 3})}},
      {"Diag", {x({2, 3})}},
      {"DiagPart", {x({2, 2, 2, 2})}},
      {"MatrixDiagPartV2", {x({2, 3}), scalar(-1), zero}},
      {"MatrixDiagPartV3", {x({3, 4}), band, zero}, align},
      {"MatrixSetDiag", {x({2, 3}), x({2})}},
      {"MatrixSetDiagV2", {x({2, 3}), x({2}), scalar(1)}},
      {"MatrixSetDiagV3", {x({3, 3}), x({3, 3}), band}, align},
      {"MatrixBandPart", {x({3, 4}), scalar(1), scalar(0)}},
  };
  const auto einsum = [&](const char* equation, std::vector<Input> inputs) {
    const auto count = static_cast<int64_t>(inputs.size());
    rows.push_back({"Einsum", std::move(inputs), {{"equation", text(equation)}, {"N", count}}});
  };
  einsum("ij->ji", {x({2, 3})});
  einsum("ij->i", {x({2, 3})});
  einsum("ii->i", {x({3, 3})});
  einsum("ii->", {x({3, 3})});
  einsum("...i->i...", {x({2, 3, 2})});
  einsum("ij,jk->ik", {x({2, 3}), x({3, 2})});
  einsum("bij,bkj->kib", {x({2, 2, 3}), x({2, 4, 3})});
  einsum("ijk,j->i", {x({2, 3, 2}), x({3})});
  einsum("...ij,...jk->...ik", {x({2, 2, 3}), x({3, 2})});
  einsum("...ij,...jk->...ki", {x({1, 2, 3}), x({4, 3, 2})});
  einsum("ij,ij->ij", {x({2, 3}), x({2, 3})});
  einsum("ii,j->ij", {x({2, 2}), x({3})});
  return rows;
}

std::vector<Row> image_rows() {
  const auto f32 = DType::kFloat;
  const Tensor boxes =
      Tensor::from<float>({2, 4}, std::vector<float>{0.1F, 0.2F, 0.8F, 0.9F, 0.3F, 0, 1, 0.7F});
  const Tensor of = ints({0, 0}), size = ints({3, 5});
  std::vector<Row> rows = {
      {"ResizeNearestNeighbor", {x({1, 2, 3, 2}), size}},
      {"ResizeNearestNeighborGrad", {x({1, 4, 5, 1}), ints({2, 3})}},
      {"ResizeBilinear", {x({1, 2, 3, 1}), size}, {{"half_pixel_centers", true}}, nullptr, f32},
      {"ResizeBilinear", {x({1, 4, 3, 1}), size}, {{"align_corners", true}}, nullptr, f32},
      {"ResizeBicubic", {x({1, 3, 3, 1}), size}, {}, nullptr, f32},
      {"ResizeBicubic", {x({1, 3, 3, 1}), size}, {{"half_pixel_centers", true}}, nullptr, f32},
      {"CropAndResize", {x({1, 4, 4, 1}), boxes, of, ints({3, 2})}, {}, nullptr, f32},
      {"ScaleAndTranslate",
       {x({1, 4, 4, 1}), size, Tensor::vector<float>({0.75F, 1.25F}),
        Tensor::vector<float>({0, 0})},
       {},
       nullptr,
       f32},
      {"ExtractImagePatches",
       {x({1, 4, 4, 2})},
       {{"ksizes", Ints{1, 2, 2, 1}},
        {"strides", Ints{1, 2, 1, 1}},
        {"rates", Ints{1, 1, 2, 1}},
        {"padding", text("SAME")}}},
      {"ExtractVolumePatches",
       {x({1, 3, 2, 3, 1})},
       {{"ksizes", Ints{1, 2, 2, 2, 1}},
        {"strides", Ints{1, 1, 1, 2, 1}},
        {"padding", text("SAME")}}},
      {"RGBToHSV", {x({2, 3}, 0.1, 0.9)}},
  };
  // Nearest: each output pixel is one input pixel, under a shift by whole pixels exactly.
  const Tensor shift = Tensor::from<float>({1, 8}, std::vector<float>{1, 0, 1, 0, 1, -1, 0, 0});
  const Attrs nearest{{"interpolation", text("NEAREST")}};
  rows.push_back({"ImageProjectiveTransformV2", {x({1, 3, 3, 1}), shift, ints({3, 3})}, nearest});
  rows.push_back({"ImageProjectiveTransformV3",
                  {x({1, 3, 3, 1}), shift, ints({3, 3}), Tensor::scalar<float>(0)},
                  nearest});
  return rows;
}

// Of max pooling: gradients of its gradient, and of theirs, with respect to what flows through.
std::vector<Row> second_pooling_rows() {
  std::vector<Row> rows;
  for (bool volume : {false, true}) {
    const std::string forward = volume ? "MaxPool3D" : "MaxPool";
    const Ints window = volume ? Ints{1, 2, 2, 2, 1} : Ints{1, 2, 2, 1};
    const Ints strides = volume ? Ints{1, 1, 2, 1, 1} : Ints{1, 1, 2, 1};
    const Attrs attrs{{"ksize", window}, {"strides", strides}, {"padding", text("SAME")}};
    const Range image = volume ? x({1, 2, 3, 3, 1}) : x({2, 3, 4, 2});
    const Range pooled = volume ? x({1, 2, 2, 3, 1}) : x({2, 3, 2, 2});
    Tensor fixed(DType::kFloat, image.shape);
    for (int64_t i = 0; i < fixed.num_elements(); ++i) {
      fixed.mutable_data<float>()[i] = static_cast<float>((7 * i) % 31);
    }
    const auto through = [=](std::string suffix) {
      return [=](GraphBuilder& b, const Endpoints& in) {
        const Endpoint of = b.constant(fixed);
        return Endpoints{b.op(forward + suffix, {of, b.op(forward, {of}, attrs), in[0]}, attrs)};
      };
    };
    rows.push_back({forward + "Grad", {pooled}, {}, through("Grad"), DType::kFloat});
    rows.push_back({forward + "GradGrad", {image}, {}, through("GradGrad"), DType::kFloat});
    if (volume) continue;
    const auto second = [=](GraphBuilder& b, const Endpoints& in) {
      const Endpoint of = b.constant(fixed), sizes = b.constant(ints({1, 2, 2, 1}));
      const Endpoint steps = b.constant(ints({1, 1, 2, 1}));
      const Attrs same{{"padding", text("SAME")}};
      const Endpoint y = b.op("MaxPoolV2", {of, sizes, steps}, same);
      return Endpoints{b.op("MaxPoolGradV2", {of, y, in[0], sizes, steps}, same)};
    };
    rows.push_back({"MaxPoolGradV2", {pooled}, {}, second, DType::kFloat});
  }
  return rows;
}

std::vector<Row> volume_rows() {
  const auto f32 = DType::kFloat;
  const Attrs window{
      {"ksize", Ints{1, 2, 2, 2, 1}}, {"strides", Ints{1, 2, 2, 1, 1}}, {"padding", text("VALID")}};
  const Attrs convolution{{"strides", Ints{1, 1, 1, 1, 1}}, {"padding", text("SAME")}};
  const Range volume = x({1, 2, 3, 3, 2}), filter = x({2, 2, 2, 2, 2});
  const Tensor sizes = ints({1, 2, 3, 3, 2});
  return {
      {"Conv3D", {volume, filter}, convolution, nullptr, f32},
      {"Conv3DBackpropInputV2", {sizes, filter, volume}, convolution, nullptr, f32},
      {"Conv3DBackpropFilterV2",
       {volume, ints({2, 2, 2, 2, 2}), volume},
       convolution,
       nullptr,
       f32},
      {"AvgPool3D", {volume}, window, nullptr, f32},
      {"AvgPool3DGrad", {sizes, x({1, 1, 1, 2, 2})}, window, nullptr, f32},
      {"MaxPool3D", {volume}, window, nullptr, f32},
      {"LRN", {x({1, 2, 1, 5})}, {{"depth_radius", int64_t{1}}}, nullptr, f32},
      {"MaxPoolWithArgmax",
       {x({1, 4, 4, 1})},
       {},
       first("MaxPoolWithArgmax", {{"ksize", Ints{1, 2, 2, 1}},
                                   {"strides", Ints{1, 2, 2, 1}},
                                   {"padding", text("VALID")}}),
       f32},
  };
}

}  // namespace tenon::gradient_rows
