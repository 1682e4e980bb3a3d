// UniformCandidateSampler, LogUniformCandidateSampler, AllCandidateSampler: classes drawn for a
// sampled loss, and how often each is to be expected. ComputeAccidentalHits: which of them are true
// classes. tensorflow/core/kernels/range_sampler.cc, candidate_sampler_ops.cc.
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "tenon/core/shape_context.h"
#include "tenon/ops/random/random_stream.h"
#include "tenon/ops/random/simple_philox.h"

namespace tenon {
namespace {

enum class ClassDistribution : uint8_t { kUniform, kLogUniform, kAll };

// Samples of 32 bits that are set aside for each class drawn.
constexpr uint64_t kSamplesOfClass = 2048;

template <ClassDistribution distribution>
Status sampler_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  const auto sampled = c.attr<int64_t>("num_sampled");
  const auto num_true = c.attr<int64_t>("num_true");
  const PartialShape& classes = c.input(0);
  if (classes.has_rank() && classes[1] >= 0 && classes[1] != num_true) {
    return invalid_argument("true_classes must have num_true columns, expected: ", num_true,
                            " was: ", classes[1]);
  }
  if (distribution != ClassDistribution::kAll && c.attr<bool>("unique") &&
      sampled > c.attr<int64_t>("range_max")) {
    return invalid_argument("Sampler's range is too small: ", sampled, " different classes of ",
                            c.attr<int64_t>("range_max"));
  }
  TENON_RETURN_IF_ERROR(Shape::make({{sampled}}, 8).status());
  c.set_output(0, {sampled});
  c.set_output(1, {classes.has_rank() ? classes[0] : -1, num_true});
  c.set_output(2, {sampled});
  return absl::OkStatus();
}

template <ClassDistribution distribution>
struct ClassSampler {
  int64_t range;
  double log_range = std::log1p(static_cast<double>(range));

  int64_t draw(SimplePhilox& numbers) const {
    if (distribution == ClassDistribution::kUniform) {
      return static_cast<int64_t>(numbers.below(static_cast<uint64_t>(range)));
    }
    const double value = std::min(std::exp(numbers.unit_double() * log_range), 0x1p62);
    return (static_cast<int64_t>(value) - 1) % range;
  }
  float probability(int64_t value) const {
    if (distribution == ClassDistribution::kUniform) {
      return static_cast<float>(1.0 / static_cast<double>(range));
    }
    const auto at = static_cast<double>(value);
    return static_cast<float>(std::log((at + 2) / (at + 1)) / log_range);
  }
};

// Of `sampled` classes drawn in `tries`.
float expected_count(float probability, int64_t sampled, int64_t tries) {
  if (tries == sampled) return probability * static_cast<float>(sampled);
  return static_cast<float>(
      -std::expm1(static_cast<double>(tries) * std::log1p(-static_cast<double>(probability))));
}

template <ClassDistribution distribution>
StatusOr<Kernel> make_sampler(Prepare& p) {
  const auto sampled = p.attr<int64_t>("num_sampled");
  const bool unique = p.attr<bool>("unique");
  const ClassSampler<distribution> sampler{p.attr<int64_t>("range_max")};
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  return Kernel([=](KernelRun& r) {
    const uint64_t blocks = static_cast<uint64_t>(sampled) * kSamplesOfClass / 4;
    SimplePhilox numbers(stream->reserve(blocks, r.context().seed));
    int64_t* drawn = r.out<int64_t>(0);
    int64_t tries = sampled;
    if (unique) {
      std::unordered_set<int64_t> used;
      tries = 0;
      for (int64_t i = 0; i < sampled; ++tries) {
        const int64_t value = sampler.draw(numbers);
        if (used.insert(value).second) drawn[i++] = value;
      }
    } else {
      for (int64_t i = 0; i < sampled; ++i) drawn[i] = sampler.draw(numbers);
    }
    const auto expect = [&](int64_t value) {
      return expected_count(sampler.probability(value), sampled, tries);
    };
    const auto classes = r.input(0).span<int64_t>();
    std::transform(classes.begin(), classes.end(), r.out<float>(1), expect);
    std::transform(drawn, drawn + sampled, r.out<float>(2), expect);
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_all_sampler(Prepare& p) {
  return Kernel([sampled = p.attr<int64_t>("num_sampled")](KernelRun& r) {
    for (int64_t i = 0; i < sampled; ++i) r.out<int64_t>(0)[i] = i;
    std::fill_n(r.out<float>(1), r.output(1).num_elements(), 1.0F);
    std::fill_n(r.out<float>(2), sampled, 1.0F);
    return absl::OkStatus();
  });
}

template <ClassDistribution distribution>
constexpr OpDecl sampler_op(AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = "true_classes: int64",
      .outputs =
          "sampled_candidates: int64, true_expected_count: float, sampled_expected_count: float",
      .attrs = attrs,
      .effect = Effect::kRandom,
      .shape = sampler_shape<distribution>,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

#define TENON_SAMPLER_ATTRS                                                                    \
  "num_true: int >= 1; num_sampled: int >= 1; unique: bool; range_max: int >= 1; seed: int = " \
  "0; seed2: int = 0"

Status accidental_hits_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const auto num_true = c.attr<int64_t>("num_true");
  if (c.input(0).has_rank() && c.input(0)[1] >= 0 && c.input(0)[1] != num_true) {
    return invalid_argument("true_candidates must be a batch_size * num_true matrix, it is ",
                            c.input(0));
  }
  for (int i = 0; i < 3; ++i) c.set_output(i, {-1});
  return absl::OkStatus();
}

StatusOr<Kernel> make_accidental_hits(Prepare& p) {
  return Kernel([num_true = p.attr<int64_t>("num_true")](KernelRun& r) -> Status {
    std::unordered_map<int64_t, int64_t> position;
    const auto sampled = r.input(1).span<int64_t>();
    for (size_t i = 0; i < sampled.size(); ++i) position[sampled[i]] = static_cast<int64_t>(i);
    std::vector<int32_t> rows;
    std::vector<int64_t> ids;
    const auto classes = r.input(0).span<int64_t>();
    for (size_t i = 0; i < classes.size(); ++i) {
      const auto found = position.find(classes[i]);
      if (found == position.end()) continue;
      rows.push_back(static_cast<int32_t>(static_cast<int64_t>(i) / num_true));
      ids.push_back(found->second);
    }
    const Shape shape{static_cast<int64_t>(rows.size())};
    for (int i = 0; i < 3; ++i) TENON_RETURN_IF_ERROR(r.allocate_output(i, shape));
    std::copy(rows.begin(), rows.end(), r.out<int32_t>(0));
    std::copy(ids.begin(), ids.end(), r.out<int64_t>(1));
    std::fill_n(r.out<float>(2), rows.size(), std::numeric_limits<float>::lowest());
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(UniformCandidateSampler) = sampler_op<ClassDistribution::kUniform>(
    TENON_SAMPLER_ATTRS, make_sampler<ClassDistribution::kUniform>);
TENON_OP(LogUniformCandidateSampler) = sampler_op<ClassDistribution::kLogUniform>(
    TENON_SAMPLER_ATTRS, make_sampler<ClassDistribution::kLogUniform>);
TENON_OP(AllCandidateSampler) = sampler_op<ClassDistribution::kAll>(
    "num_true: int >= 1; num_sampled: int >= 1; unique: bool; seed: int = 0; seed2: int = 0",
    make_all_sampler);

#undef TENON_SAMPLER_ATTRS

TENON_OP(ComputeAccidentalHits) = {
    .inputs = "true_classes: int64, sampled_candidates: int64",
    .outputs = "indices: int32, ids: int64, weights: float",
    .attrs = "num_true: int; seed: int = 0; seed2: int = 0",
    .shape = accidental_hits_shape,
    .gradient = not_differentiable,
    .kernels = {make_accidental_hits},
};

}  // namespace tenon
