// SampleDistortedBoundingBox, V2, StatelessSampleDistortedBoundingBox: random crops that keep
// enough of an object. tensorflow/core/kernels/image/sample_distorted_bounding_box_op.cc.
#include <cmath>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/random/random_stream.h"
#include "tenon/ops/random/simple_philox.h"

namespace tenon {
namespace {

// Rows [top, bottom), columns [left, right).
struct CropBox {
  int64_t left = 0, top = 0, right = 0, bottom = 0;

  float area() const { return static_cast<float>((right - left) * (bottom - top)); }
  CropBox intersect(const CropBox& b) const {
    const CropBox both{std::max(left, b.left), std::max(top, b.top), std::min(right, b.right),
                       std::min(bottom, b.bottom)};
    return both.left > both.right || both.top > both.bottom ? CropBox{} : both;
  }
};

struct CropRules {
  float least_aspect = 0, most_aspect = 0, least_area = 0, most_area = 0;
  int64_t attempts = 0;
  bool whole_without_boxes = false;
};

Status check_range_pair(const std::vector<float>& pair, std::string_view what, float most) {
  if (pair.size() == 2 && pair[0] > 0 && pair[1] > 0 && pair[0] <= most && pair[1] <= most) {
    return absl::OkStatus();
  }
  return invalid_argument(what, " must be two positive numbers", most < 2 ? " of at most 1" : "",
                          ", it is [", join(pair, ", "), "]");
}

StatusOr<CropRules> crop_rules(const AttrMap& attrs) {
  const auto& aspect = attrs.get<std::vector<float>>("aspect_ratio_range");
  const auto& area = attrs.get<std::vector<float>>("area_range");
  TENON_RETURN_IF_ERROR(
      check_range_pair(aspect, "aspect_ratio_range", std::numeric_limits<float>::infinity()));
  TENON_RETURN_IF_ERROR(check_range_pair(area, "area_range", 1));
  const CropRules rules{aspect[0],
                        aspect[1],
                        area[0],
                        area[1],
                        attrs.get<int64_t>("max_attempts"),
                        attrs.get<bool>("use_image_if_no_bounding_boxes")};
  if (rules.attempts <= 0) {
    return invalid_argument("Max attempts must be positive: ", rules.attempts);
  }
  return rules;
}

Status sample_box_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(crop_rules(c.attrs()).status());
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 3));
  if (c.num_inputs() > 2) TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  if (!PartialShape::merge(c.input(0), {3}).ok()) {
    return invalid_argument("image_size must contain 3 elements, its shape is ", c.input(0));
  }
  if (!PartialShape::merge(c.input(1), {-1, -1, 4}).ok()) {
    return invalid_argument("bounding boxes must have 4 coordinates, their shape is ", c.input(1));
  }
  if (c.num_inputs() > 3 && !PartialShape::merge(c.input(3), {2}).ok()) {
    return invalid_argument("seed must have shape [2], not ", c.input(3));
  }
  c.set_output(0, {3});
  c.set_output(1, {3});
  c.set_output(2, {1, 1, 4});
  return absl::OkStatus();
}

int64_t nearest_integer(float x) {
  constexpr float kMost = 0x1p31F;
  return std::isnan(x) ? 0 : std::lrint(std::clamp(x, -kMost, kMost));
}

// A crop of `rules` with this aspect; nullopt when rounding leaves none.
std::optional<CropBox> draw_crop(int64_t width, int64_t height, const CropRules& rules,
                                 float aspect, SimplePhilox& numbers) {
  if (width <= 0 || height <= 0 || rules.least_area > rules.most_area) return std::nullopt;
  const auto columns = static_cast<float>(width), lines = static_cast<float>(height);
  const float least = rules.least_area * columns * lines, most = rules.most_area * columns * lines;
  const auto width_of = [&](int64_t rows) {
    return nearest_integer(static_cast<float>(rows) * aspect);
  };
  int64_t rows = nearest_integer(std::sqrt(least / aspect));
  int64_t most_rows = nearest_integer(std::sqrt(most / aspect));
  if (width_of(most_rows) > width) {
    const double most_fit =
        (static_cast<double>(width) + 0.5 - 1e-7F) / static_cast<double>(aspect);
    most_rows = static_cast<int64_t>(std::min(most_fit, 0x1p31));
    if (width_of(most_rows) > width) --most_rows;
  }
  most_rows = std::min(most_rows, height);
  rows = std::min(rows, most_rows);
  if (rows < most_rows) rows += numbers.below32(static_cast<uint32_t>(most_rows - rows + 1));
  int64_t span = width_of(rows);
  const auto area = [&] { return static_cast<float>(span * rows); };
  if (area() < least) span = width_of(++rows);
  if (area() > most) span = width_of(--rows);
  if (area() < least || area() > most || span > width || rows > height || span <= 0 || rows <= 0) {
    return std::nullopt;
  }
  CropBox crop;
  if (rows < height) crop.top = numbers.below32(static_cast<uint32_t>(height - rows));
  if (span < width) crop.left = numbers.below32(static_cast<uint32_t>(width - span));
  crop.right = crop.left + span;
  crop.bottom = crop.top + rows;
  return crop;
}

bool covers_an_object(const CropBox& crop, float share, const std::vector<CropBox>& objects) {
  if (crop.area() < 1) return false;
  return std::ranges::any_of(objects, [&](const CropBox& object) {
    return object.area() >= 1 && crop.intersect(object).area() / object.area() >= share;
  });
}

StatusOr<std::vector<CropBox>> objects_of(const Tensor& boxes, int64_t width, int64_t height,
                                          bool whole_without_boxes) {
  std::vector<CropBox> objects;
  const auto corners = boxes.span<float>();
  for (float x : corners) {
    if (!(x >= 0 && x <= 1)) {
      return invalid_argument("All bounding box coordinates must be in [0.0, 1.0]: ", x);
    }
  }
  const auto pixel = [](float x, int64_t size) {
    return static_cast<int64_t>(x * static_cast<float>(size));
  };
  for (size_t i = 0; i < corners.size(); i += 4) {
    objects.push_back({pixel(corners[i + 1], width), pixel(corners[i], height),
                       pixel(corners[i + 3], width), pixel(corners[i + 2], height)});
  }
  if (objects.empty() && !whole_without_boxes) {
    return invalid_argument(
        "No bounding boxes provided as input. One must enable use_image_if_no_bounding_boxes if "
        "you wish to not provide any bounding boxes.");
  }
  if (objects.empty()) objects.push_back({0, 0, width, height});
  return objects;
}

Status sample_box(KernelRun& r, const CropRules& rules, float share,
                  const kernels::Philox& generator) {
  const int64_t height = integer_at(r.input(0), 0), width = integer_at(r.input(0), 1);
  for (int64_t size : {height, width}) {
    if (size < 0 || size >= std::numeric_limits<int32_t>::max()) {
      return invalid_argument("an image cannot have a side of ", size);
    }
  }
  if (!(share >= 0)) return invalid_argument("Min object covered must be non-negative: ", share);
  TENON_ASSIGN_OR_RETURN(const std::vector<CropBox> objects,
                         objects_of(r.input(1), width, height, rules.whole_without_boxes));
  SimplePhilox numbers(generator);
  CropBox found{0, 0, width, height};
  for (int64_t i = 0; i < rules.attempts; ++i) {
    const float aspect =
        numbers.unit_float() * (rules.most_aspect - rules.least_aspect) + rules.least_aspect;
    const auto crop = draw_crop(width, height, rules, aspect, numbers);
    if (!crop || !covers_an_object(*crop, share, objects)) continue;
    found = *crop;
    break;
  }
  const int64_t begin[] = {found.top, found.left, 0};
  const int64_t size[] = {found.bottom - found.top, found.right - found.left, -1};
  visit<IntegerTypes>(r.output(0).dtype(), [&]<class T>() {
    for (int i = 0; i < 3; ++i) {
      r.out<T>(0)[i] = static_cast<T>(begin[i]);
      r.out<T>(1)[i] = static_cast<T>(size[i]);
    }
  });
  const auto share_of = [](int64_t x, int64_t whole) {
    return static_cast<float>(x) / static_cast<float>(whole);
  };
  const float box[] = {share_of(found.top, height), share_of(found.left, width),
                       share_of(found.bottom, height), share_of(found.right, width)};
  std::copy_n(box, 4, r.out<float>(2));
  return absl::OkStatus();
}

template <bool v2>
StatusOr<Kernel> make_sample_box(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const CropRules rules, crop_rules(p.attrs()));
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  const float share = v2 ? 0 : p.attr<float>("min_object_covered");
  return Kernel([=](KernelRun& r) {
    const auto blocks = static_cast<uint64_t>(rules.attempts);
    return sample_box(r, rules, v2 ? *r.in<float>(2) : share,
                      stream->reserve(blocks, r.context().seed));
  });
}

StatusOr<Kernel> make_stateless_sample_box(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const CropRules rules, crop_rules(p.attrs()));
  return Kernel([=](KernelRun& r) {
    const auto seed = [&](int i) { return static_cast<uint64_t>(integer_at(r.input(3), i)); };
    return sample_box(r, rules, *r.in<float>(2),
                      kernels::Philox::from_stateless_seed(seed(0), seed(1)));
  });
}

constexpr OpDecl sample_box_op(ArgsText inputs, AttrsText attrs, Effect effect,
                               KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "begin: T, size: T, bboxes: float",
      .attrs = attrs,
      .effect = effect,
      .shape = sample_box_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

#define TENON_SAMPLE_BOX_ATTRS                                                              \
  "T: {uint8, int8, int16, int32, int64}; aspect_ratio_range: list(float) = [0.75, 1.33]; " \
  "area_range: list(float) = [0.05, 1]; max_attempts: int = 100; "                          \
  "use_image_if_no_bounding_boxes: bool = false"

}  // namespace

TENON_OP(SampleDistortedBoundingBox) = sample_box_op(
    "image_size: T, bounding_boxes: float",
    TENON_SAMPLE_BOX_ATTRS "; seed: int = 0; seed2: int = 0; min_object_covered: float = 0.1",
    Effect::kRandom, make_sample_box<false>);
TENON_OP(SampleDistortedBoundingBoxV2) =
    sample_box_op("image_size: T, bounding_boxes: float, min_object_covered: float",
                  TENON_SAMPLE_BOX_ATTRS "; seed: int = 0; seed2: int = 0", Effect::kRandom,
                  make_sample_box<true>);
TENON_OP(StatelessSampleDistortedBoundingBox) = sample_box_op(
    "image_size: T, bounding_boxes: float, min_object_covered: float, seed: Tseed",
    TENON_SAMPLE_BOX_ATTRS "; Tseed: {int32, int64}", Effect::kNone, make_stateless_sample_box);

#undef TENON_SAMPLE_BOX_ATTRS

}  // namespace tenon
