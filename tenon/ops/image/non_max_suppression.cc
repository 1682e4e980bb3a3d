// NonMaxSuppression, V2 to V5 and WithOverlaps: indices of the boxes that are kept.
// _LiteNonMaxSuppression is V5 as LiteRT has it.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/image/suppression.h"

namespace tenon {
namespace {

// A scalar input of any floating dtype.
float scalar_at(const KernelRun& r, int index) {
  float value = 0;
  visit<FloatTypes>(r.input(index).dtype(),
                    [&]<class T>() { value = static_cast<float>(*r.in<T>(index)); });
  return value;
}

std::vector<float> floats_of(const Tensor& tensor) {
  std::vector<float> values;
  visit<FloatTypes>(tensor.dtype(), [&]<class T>() {
    for (const T& value : tensor.span<T>()) values.push_back(static_cast<float>(value));
  });
  return values;
}

Status suppression_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  for (int i = 2; i < c.num_inputs(); ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  const PartialShape& boxes = c.input(0);
  const PartialShape& scores = c.input(1);
  const bool overlaps = c.op().inputs()[0].name == "overlaps";
  if (boxes.has_rank()) {
    const int64_t columns = overlaps ? boxes[0] : 4;
    if (boxes[1] >= 0 && columns >= 0 && boxes[1] != columns) {
      return invalid_argument(overlaps ? "overlaps must be square" : "boxes must have 4 columns",
                              ", found ", boxes);
    }
    if (scores.has_rank() && boxes[0] >= 0 && scores[0] >= 0 && boxes[0] != scores[0]) {
      return invalid_argument("scores has incompatible shape ", scores, " for boxes of ", boxes);
    }
  }
  const bool* pad = c.attrs().get_if<bool>("pad_to_max_output_size");
  int64_t count = -1;
  if (pad && *pad && c.constant(2)) count = std::max<int64_t>(0, integer_at(*c.constant(2), 0));
  c.set_output(0, {count});
  // V4: the count; V5: scores too.
  if (c.num_outputs() == 3) c.set_output(1, {count});
  if (c.num_outputs() > 1) c.set_output(c.num_outputs() - 1, Shape());
  return absl::OkStatus();
}

struct SuppressionKind {
  bool overlaps = false;  // input 0 holds similarities
  bool pads = false;
  bool as_lite = false;
  float iou = -1;  // of the first version
};

StatusOr<SuppressionLimits> suppression_limits(const KernelRun& r, const SuppressionKind& kind) {
  SuppressionLimits limits;
  limits.as_lite = kind.as_lite;
  limits.most = integer_at(r.input(2), 0);
  if (limits.most < 0) {
    return invalid_argument("max_output_size must be non-negative, received ", limits.most);
  }
  limits.similarity = r.num_inputs() > 3 ? scalar_at(r, 3) : kind.iou;
  if (!kind.overlaps && !(limits.similarity >= 0 && limits.similarity <= 1)) {
    return invalid_argument("iou_threshold must be in [0, 1], it is ", limits.similarity);
  }
  limits.score = r.num_inputs() > 4 ? scalar_at(r, 4) : std::numeric_limits<float>::lowest();
  // TensorFlow compares scores of half precision with the threshold in half precision.
  if (r.input(1).dtype() == DType::kHalf && r.num_inputs() > 4) {
    limits.score = static_cast<float>(float16(limits.score));
  }
  if (r.num_inputs() > 5) limits.soft_sigma = scalar_at(r, 5);
  if (limits.soft_sigma < 0) {
    return invalid_argument("soft_nms_sigma ", limits.soft_sigma, " must not be negative");
  }
  return limits;
}

Status suppress(KernelRun& r, const SuppressionKind& kind) {
  TENON_ASSIGN_OR_RETURN(SuppressionLimits limits, suppression_limits(r, kind));
  const std::vector<float> boxes = floats_of(r.input(0)), scores = floats_of(r.input(1));
  const auto count = static_cast<int64_t>(scores.size());
  const int64_t asked = limits.most;
  limits.most = std::min(limits.most, count);
  std::vector<Selected> selected = select_candidates(scores, limits, [&](int32_t i, int32_t j) {
    return kind.overlaps ? boxes[static_cast<size_t>(i * count + j)]
                         : box_overlap(&boxes[static_cast<size_t>(i) * 4],
                                       &boxes[static_cast<size_t>(j) * 4]);
  });
  const auto valid = static_cast<int32_t>(selected.size());
  if (kind.pads) {
    TENON_RETURN_IF_ERROR(Shape::make({{asked}}, 8).status());
    selected.resize(static_cast<size_t>(asked), {0, 0});
  }
  const Shape shape{static_cast<int64_t>(selected.size())};
  TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
  std::transform(selected.begin(), selected.end(), r.out<int32_t>(0),
                 [](const Selected& one) { return one.index; });
  if (r.num_outputs() == 3) {
    TENON_RETURN_IF_ERROR(r.allocate_output(1, shape));
    visit<FloatTypes>(r.output(1).dtype(), [&]<class T>() {
      std::transform(selected.begin(), selected.end(), r.out<T>(1),
                     [](const Selected& one) { return static_cast<T>(one.score); });
    });
  }
  if (r.num_outputs() > 1) r.set_output(r.num_outputs() - 1, Tensor::scalar<int32_t>(valid));
  return absl::OkStatus();
}

StatusOr<Kernel> make_suppression(Prepare& p) {
  SuppressionKind kind;
  kind.overlaps = p.op().inputs()[0].name == "overlaps";
  kind.as_lite = p.op().name() == "_LiteNonMaxSuppression";
  if (const bool* pad = p.attrs().get_if<bool>("pad_to_max_output_size")) kind.pads = *pad;
  if (const float* iou = p.attrs().get_if<float>("iou_threshold")) kind.iou = *iou;
  return Kernel([kind](KernelRun& r) { return suppress(r, kind); });
}

constexpr OpDecl suppression(ArgsText inputs, ArgsText outputs, AttrsText attrs) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = suppression_shape,
      .gradient = not_differentiable,
      .kernels = {make_suppression},
  };
}

}  // namespace

TENON_OP(NonMaxSuppression) = suppression("boxes: float, scores: float, max_output_size: int32",
                                          "selected_indices: int32", "iou_threshold: float = 0.5");
TENON_OP(NonMaxSuppressionV2) = suppression(
    "boxes: T, scores: T, max_output_size: int32, iou_threshold: T_threshold",
    "selected_indices: int32", "T: {half, float} = float; T_threshold: {half, float} = float");
TENON_OP(NonMaxSuppressionV3) = suppression(
    "boxes: T, scores: T, max_output_size: int32, iou_threshold: T_threshold, "
    "score_threshold: T_threshold",
    "selected_indices: int32", "T: {half, float} = float; T_threshold: {half, float} = float");
TENON_OP(NonMaxSuppressionV4) = suppression(
    "boxes: T, scores: T, max_output_size: int32, iou_threshold: T_threshold, "
    "score_threshold: T_threshold",
    "selected_indices: int32, valid_outputs: int32",
    "T: {half, float} = float; T_threshold: {half, float} = float; "
    "pad_to_max_output_size: bool = false");
TENON_OP(NonMaxSuppressionV5) = suppression(
    "boxes: T, scores: T, max_output_size: int32, iou_threshold: T, score_threshold: T, "
    "soft_nms_sigma: T",
    "selected_indices: int32, selected_scores: T, valid_outputs: int32",
    "T: {half, float} = float; pad_to_max_output_size: bool = false");
TENON_OP(_LiteNonMaxSuppression) = suppression(
    "boxes: float, scores: float, max_output_size: int32, iou_threshold: float, "
    "score_threshold: float, soft_nms_sigma: float",
    "selected_indices: int32, selected_scores: float, valid_outputs: int32",
    "pad_to_max_output_size: bool = false");
TENON_OP(NonMaxSuppressionWithOverlaps) = suppression(
    "overlaps: float, scores: float, max_output_size: int32, overlap_threshold: float, "
    "score_threshold: float",
    "selected_indices: int32", "");

}  // namespace tenon
