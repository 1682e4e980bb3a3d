// CombinedNonMaxSuppression: suppression by class, then the best of all classes, image by image.
#include "tenon/base/parallel.h"
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/image/suppression.h"

namespace tenon {
namespace {

// Rows of the result: max_total_size, or what all classes together can give where that is less and
// pad_per_class is set. -1 while it is not known.
template <class Context>
int64_t combined_rows(const Context& c, int64_t classes) {
  const Tensor* total = c.constant(3);
  const Tensor* per_class = c.constant(2);
  if (!total) return -1;
  const int64_t rows = integer_at(*total, 0);
  if (!c.template attr<bool>("pad_per_class")) return rows;
  if (!per_class || classes < 0) return -1;
  return std::min(rows, integer_at(*per_class, 0) * classes);
}

Status combined_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 3));
  for (int i = 2; i < 6; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  const PartialShape& boxes = c.input(0);
  const PartialShape& scores = c.input(1);
  int64_t batch = -1, classes = -1;
  if (boxes.has_rank() && scores.has_rank()) {
    batch = boxes[0] >= 0 ? boxes[0] : scores[0];
    classes = scores[2];
    const bool fits = (boxes[3] < 0 || boxes[3] == 4) &&
                      (boxes[0] < 0 || scores[0] < 0 || boxes[0] == scores[0]) &&
                      (boxes[1] < 0 || scores[1] < 0 || boxes[1] == scores[1]) &&
                      (boxes[2] < 0 || scores[2] < 0 || boxes[2] == 1 || boxes[2] == scores[2]);
    if (!fits) {
      return invalid_argument(
          "boxes must be [batch, boxes, 1 or classes, 4] and scores [batch, "
          "boxes, classes], their shapes are ",
          boxes, " and ", scores);
    }
  }
  for (int i : {2, 3}) {
    if (c.constant(i) && integer_at(*c.constant(i), 0) <= 0) {
      return invalid_argument(c.op().inputs()[static_cast<size_t>(i)].name, " should be > 0");
    }
  }
  const int64_t rows = combined_rows(c, classes);
  if (rows >= 0 && batch >= 0) {
    TENON_RETURN_IF_ERROR(Shape::make({{batch, rows, 4}}, 8).status());
  }
  c.set_output(0, {batch, rows, 4});
  c.set_output(1, {batch, rows});
  c.set_output(2, {batch, rows});
  c.set_output(3, {batch});
  return absl::OkStatus();
}

struct CombinedSpec {
  int64_t boxes = 0, box_classes = 1, classes = 0, rows = 0;
  int64_t per_class = 0;
  bool clip = true;
};

struct Found {
  int32_t box, label;
  float score;
};

std::vector<Found> find_boxes(const CombinedSpec& spec, const SuppressionLimits& limits,
                              const float* boxes, const float* scores) {
  std::vector<Found> all;
  std::vector<float> of_class(static_cast<size_t>(spec.boxes));
  for (int64_t label = 0; label < spec.classes; ++label) {
    for (int64_t i = 0; i < spec.boxes; ++i) {
      of_class[static_cast<size_t>(i)] = scores[i * spec.classes + label];
    }
    const int64_t column = spec.box_classes > 1 ? label : 0;
    const auto box = [&](int32_t i) { return boxes + (i * spec.box_classes + column) * 4; };
    for (const Selected& one : select_candidates(
             of_class, limits, [&](int32_t i, int32_t j) { return box_overlap(box(i), box(j)); })) {
      all.push_back({one.index, static_cast<int32_t>(label), one.score});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Found& a, const Found& b) { return a.score > b.score; });
  if (static_cast<int64_t>(all.size()) > spec.rows) all.resize(static_cast<size_t>(spec.rows));
  return all;
}

void write_found(KernelRun& r, const CombinedSpec& spec, int64_t image,
                 const std::vector<Found>& found, const float* boxes) {
  float* out_boxes = r.out<float>(0) + image * spec.rows * 4;
  float* out_scores = r.out<float>(1) + image * spec.rows;
  float* out_classes = r.out<float>(2) + image * spec.rows;
  std::fill_n(out_boxes, spec.rows * 4, 0.0F);
  std::fill_n(out_scores, spec.rows, 0.0F);
  std::fill_n(out_classes, spec.rows, 0.0F);
  for (size_t i = 0; i < found.size(); ++i) {
    const Found& one = found[i];
    const int64_t column = spec.box_classes > 1 ? one.label : 0;
    const float* box = boxes + (one.box * spec.box_classes + column) * 4;
    for (size_t j = 0; j < 4; ++j) {
      out_boxes[i * 4 + j] = spec.clip ? std::clamp(box[j], 0.0F, 1.0F) : box[j];
    }
    out_scores[i] = one.score;
    out_classes[i] = static_cast<float>(one.label);
  }
  r.out<int32_t>(3)[image] = static_cast<int32_t>(found.size());
}

StatusOr<Kernel> make_combined(Prepare& p) {
  const Shape& boxes = p.input_shape(0);
  CombinedSpec spec;
  spec.boxes = boxes[1];
  spec.box_classes = boxes[2];
  spec.classes = p.input_shape(1)[2];
  spec.rows = combined_rows(p, spec.classes);
  spec.per_class = integer_at(*p.constant(2), 0);
  spec.clip = p.attr<bool>("clip_boxes");
  return Kernel([spec, batch = boxes[0]](KernelRun& r) -> Status {
    SuppressionLimits limits;
    limits.most = std::min(spec.per_class, spec.boxes);
    limits.similarity = *r.in<float>(4);
    limits.score = *r.in<float>(5);
    if (!(limits.similarity >= 0 && limits.similarity <= 1)) {
      return invalid_argument("iou_threshold must be in [0, 1], it is ", limits.similarity);
    }
    parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t image = begin; image < end; ++image) {
        const float* of_image = r.in<float>(0) + image * spec.boxes * spec.box_classes * 4;
        const std::vector<Found> found =
            find_boxes(spec, limits, of_image, r.in<float>(1) + image * spec.boxes * spec.classes);
        write_found(r, spec, image, found, of_image);
      }
    });
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(CombinedNonMaxSuppression) = {
    .inputs =
        "boxes: float, scores: float, max_output_size_per_class: int32, max_total_size: int32, "
        "iou_threshold: float, score_threshold: float",
    .outputs =
        "nmsed_boxes: float, nmsed_scores: float, nmsed_classes: float, valid_detections: int32",
    .attrs = "pad_per_class: bool = false; clip_boxes: bool = true",
    .host_inputs = {2, 3},
    .shape = combined_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_combined},
};

}  // namespace tenon
