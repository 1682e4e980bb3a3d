// UniformCandidateSampler, LogUniformCandidateSampler, FixedUnigramCandidateSampler,
// AllCandidateSampler: classes drawn for a sampled loss, and how often each is to be expected.
// ComputeAccidentalHits: which of them are true classes. tensorflow/core/kernels/range_sampler.cc,
// candidate_sampler_ops.cc.
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "tenon/core/shape_context.h"
#include "tenon/ops/random/random_stream.h"
#include "tenon/ops/random/simple_philox.h"

namespace tenon {
namespace {

enum class ClassDistribution : uint8_t { kUniform, kLogUniform, kAll, kFixed };

// Samples of 32 bits that are set aside for each class drawn.
constexpr uint64_t kSamplesOfClass = 2048;
// Classes that are hardly ever drawn are not waited for.
constexpr int64_t kMostTries = int64_t{1} << 28;

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

// `sampler` draws a class and knows how probable each is.
template <class Sampler>
Status draw_classes(KernelRun& r, const Sampler& sampler, RandomStream& stream, int64_t sampled,
                    bool unique) {
  const uint64_t blocks = static_cast<uint64_t>(sampled) * kSamplesOfClass / 4;
  SimplePhilox numbers(stream.reserve(blocks, r.context().seed));
  int64_t* drawn = r.out<int64_t>(0);
  int64_t tries = sampled;
  if (unique) {
    std::unordered_set<int64_t> used;
    tries = 0;
    for (int64_t i = 0; i < sampled; ++tries) {
      if (tries > kMostTries) {
        return resource_exhausted(tries, " tries gave ", i, " different classes of ", sampled);
      }
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
}

template <ClassDistribution distribution>
StatusOr<Kernel> make_sampler(Prepare& p) {
  const auto sampled = p.attr<int64_t>("num_sampled");
  const bool unique = p.attr<bool>("unique");
  const ClassSampler<distribution> sampler{p.attr<int64_t>("range_max")};
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  return Kernel([=](KernelRun& r) { return draw_classes(r, sampler, *stream, sampled, unique); });
}

StatusOr<Kernel> make_all_sampler(Prepare& p) {
  return Kernel([sampled = p.attr<int64_t>("num_sampled")](KernelRun& r) {
    for (int64_t i = 0; i < sampled; ++i) r.out<int64_t>(0)[i] = i;
    std::fill_n(r.out<float>(1), r.output(1).num_elements(), 1.0F);
    std::fill_n(r.out<float>(2), sampled, 1.0F);
    return absl::OkStatus();
  });
}

// Numbers of classes by weights: a bin each, filled up from one that has too much (Walker's alias
// method, 1974), as TensorFlow's random::DistributionSampler does.
class WeightedClasses {
 public:
  explicit WeightedClasses(std::vector<float> weights) : weights_(std::move(weights)) {
    const size_t n = weights_.size();
    float sum = 0;
    for (float w : weights_) sum += w;
    total_ = sum;
    std::vector<double> share(n);
    std::vector<size_t> low, high;
    for (size_t i = 0; i < n; ++i) {
      share[i] =
          static_cast<double>(weights_[i]) * static_cast<double>(n) / static_cast<double>(sum);
      (share[i] < 1 ? low : high).push_back(i);
    }
    bins_.resize(n);
    while (!low.empty() && !high.empty()) {
      const size_t l = low.back(), h = high.back();
      low.pop_back();
      high.pop_back();
      bins_[l] = {static_cast<float>(share[l]), h};
      share[h] -= 1 - share[l];
      (share[h] < 1 ? low : high).push_back(h);
    }
    for (size_t i : low) bins_[i] = {1, i};
    for (size_t i : high) bins_[i] = {1, i};
  }

  int64_t draw(SimplePhilox& numbers) const {
    const float place = numbers.unit_float();
    const uint32_t bin = numbers.below32(static_cast<uint32_t>(bins_.size()));
    return place < bins_[bin].share ? bin : static_cast<int64_t>(bins_[bin].other);
  }
  float probability(int64_t value) const {
    if (value < 0 || value >= static_cast<int64_t>(weights_.size())) return 0;
    return weights_[static_cast<size_t>(value)] / total_;
  }

 private:
  struct Bin {
    float share = 1;
    size_t other = 0;
  };
  std::vector<float> weights_;
  float total_ = 0;
  std::vector<Bin> bins_;
};

// The weights of this shard's classes; reserved ones come first and have none.
StatusOr<std::vector<float>> unigram_weights(const AttrMap& attrs) {
  const auto shards = attrs.get<int64_t>("num_shards"), shard = attrs.get<int64_t>("shard");
  const auto& unigrams = attrs.get<std::vector<float>>("unigrams");
  const auto reserved = attrs.get<int64_t>("num_reserved_ids");
  const auto range = attrs.get<int64_t>("range_max");
  if (shard < 0 || shard >= shards) {
    return invalid_argument("shard must be in [0, num_shards), it is ", shard, " of ", shards);
  }
  if (!attrs.get<std::string>("vocab_file").empty() == !unigrams.empty()) {
    return invalid_argument("Must provide either vocab_file or unigrams, not both or neither.");
  }
  if (unigrams.empty()) {
    return unimplemented("FixedUnigramCandidateSampler with the weights of a vocab_file");
  }
  constexpr int64_t kMostClasses = int64_t{1} << 26;
  if (reserved > kMostClasses) return resource_exhausted(reserved, " reserved classes");
  if (reserved < 0 || reserved > range) {
    return invalid_argument("num_reserved_ids is ", reserved, " of ", range, " classes");
  }
  std::vector<float> weights;
  for (int64_t id = 0; id < reserved; ++id) {
    if (id % shards == shard) weights.push_back(0);
  }
  auto id = static_cast<int64_t>(weights.size());
  for (float unigram : unigrams) {
    if (id++ % shards != shard) continue;
    weights.push_back(std::pow(unigram, attrs.get<float>("distortion")));
  }
  if (static_cast<int64_t>(weights.size()) != range) {
    return invalid_argument("range_max is ", range, ", there are ", weights.size(), " weights");
  }
  return weights;
}

StatusOr<Kernel> make_unigram_sampler(Prepare& p) {
  const auto sampled = p.attr<int64_t>("num_sampled");
  const bool unique = p.attr<bool>("unique");
  TENON_ASSIGN_OR_RETURN(std::vector<float> weights, unigram_weights(p.attrs()));
  const auto drawable = std::ranges::count_if(weights, [](float w) { return w > 0; });
  if (drawable == 0 || (unique && sampled > drawable)) {
    return invalid_argument("Sampler's range is too small: ", sampled, " classes of ", drawable);
  }
  const auto classes = std::make_shared<const WeightedClasses>(std::move(weights));
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  return Kernel([=](KernelRun& r) { return draw_classes(r, *classes, *stream, sampled, unique); });
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
TENON_OP(FixedUnigramCandidateSampler) = sampler_op<ClassDistribution::kFixed>(
    TENON_SAMPLER_ATTRS
    "; vocab_file: string = ''; distortion: float = 1; num_reserved_ids: int = 0; num_shards: int "
    ">= 1 = 1; shard: int >= 0 = 0; unigrams: list(float) = []",
    make_unigram_sampler);

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
