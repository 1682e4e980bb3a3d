#include "tenon/keras/metrics/thresholds.h"

#include <cmath>

#include "tenon/keras/losses/builtin.h"

namespace tenon::keras::metrics {

namespace {

constexpr double kLeft = -1e10;  // in place of a prediction that is not among the top k

// Labels, predictions and weights (invalid: none), of one shape.
struct Marked {
  Endpoint labels, predictions, weights;
};

// `weight` has as many dimensions as what it weighs, or one less.
Endpoint spread_weight(GraphBuilder& g, Endpoint weight, int rank, Endpoint like) {
  weight = g.cast(weight, DType::kFloat);
  if (!g.status().ok()) return {};
  if (g.shape(weight).rank() < rank) weight = g.op("ExpandDims", {weight, g.scalar<int32_t>(-1)});
  return g.op("BroadcastTo", {weight, g.shape_of(like)});
}

Endpoint keep_top_k(GraphBuilder& g, Endpoint predictions, int64_t k) {
  const PartialShape shape = g.shape(predictions);
  const int64_t classes = shape[shape.rank() - 1];
  const Endpoint top =
      g.ops("TopKV2", {predictions, g.scalar(static_cast<int32_t>(k))}, {{"sorted", true}})[1];
  const Endpoint hot =
      g.op("OneHot", {top, g.scalar(static_cast<int32_t>(classes)), number(g, 1), number(g, 0)},
           {{"axis", int64_t{-1}}});
  const Endpoint kept = sum_axis(g, hot, shape.rank() - 1);
  return g.add(g.mul(predictions, kept), g.mul(number(g, kLeft), g.sub(number(g, 1), kept)));
}

Marked mark(GraphBuilder& g, const Metric::Batch& batch, const CountOptions& options) {
  Marked m{g.cast(batch.y_true, DType::kFloat), g.cast(batch.y_pred, DType::kFloat), {}};
  match_ranks(g, m.predictions, m.labels);
  if (!g.status().ok()) return {};
  const int rank = g.shape(m.predictions).rank();
  const int64_t classes = rank > 0 ? g.shape(m.predictions)[rank - 1] : -1;
  const bool by_class = options.top_k || options.class_id || !options.label_weights.empty();
  if (rank != g.shape(m.labels).rank() || (by_class && (rank < 2 || classes < 0))) {
    g.fail(invalid_argument("predictions of shape ", g.shape(m.predictions), " and labels of ",
                            g.shape(m.labels), " do not go together, or have no classes"));
    return {};
  }
  if (options.top_k) {
    if (*options.top_k > classes) {
      g.fail(invalid_argument("top_k is ", *options.top_k, ", there are ", classes, " classes"));
      return {};
    }
    m.predictions = keep_top_k(g, m.predictions, *options.top_k);
  }
  if (options.class_id) {
    const int64_t id = *options.class_id < 0 ? *options.class_id + classes : *options.class_id;
    if (id < 0 || id >= classes) {
      g.fail(
          invalid_argument("class_id is ", *options.class_id, ", there are ", classes, " classes"));
      return {};
    }
    for (Endpoint* of : {&m.labels, &m.predictions}) {
      *of = g.op("GatherV2", {*of, g.integers({id}), g.scalar<int32_t>(rank - 1)});
    }
  }
  if (batch.sample_weight) m.weights = spread_weight(g, batch.sample_weight, rank, m.predictions);
  if (!options.label_weights.empty()) {
    const std::vector<float> by_label(options.label_weights.begin(), options.label_weights.end());
    const Endpoint weights = g.constant(Tensor::vector<float>(by_label));
    const Endpoint spread = g.op("BroadcastTo", {weights, g.shape_of(m.predictions)});
    m.weights = m.weights ? g.mul(m.weights, spread) : spread;
  }
  return m;
}

Endpoint is_yes(GraphBuilder& g, Endpoint labels) {
  return g.op("NotEqual", {labels, number(g, 0)});
}

// Each prediction beside each threshold.
std::vector<Endpoint> count_each(GraphBuilder& g, Marked m, const Thresholds& thresholds,
                                 std::span<const Outcome> outcomes, bool by_label) {
  const auto in_front = [&](Endpoint x) {
    return by_label ? g.op("ExpandDims", {x, g.scalar<int32_t>(0)})
                    : g.reshape(x, g.integers({1, -1}));
  };
  const std::vector<float> values(thresholds.values.begin(), thresholds.values.end());
  Endpoint limits = g.constant(Tensor::vector<float>(values));
  limits = g.reshape(limits, by_label ? g.integers({thresholds.size(), 1, 1})
                                      : g.integers({thresholds.size(), 1}));
  const Endpoint yes = in_front(is_yes(g, m.labels));
  const Endpoint no = g.op("LogicalNot", {yes});
  const Endpoint above = g.op("Greater", {in_front(m.predictions), limits});
  const Endpoint below = g.op("LogicalNot", {above});
  std::vector<Endpoint> counts;
  for (const Outcome outcome : outcomes) {
    const bool positive = outcome == Outcome::kTruePositive || outcome == Outcome::kFalsePositive;
    const bool of_yes = outcome == Outcome::kTruePositive || outcome == Outcome::kFalseNegative;
    const Endpoint found = g.op("LogicalAnd", {of_yes ? yes : no, positive ? above : below});
    const Endpoint each = m.weights ? g.op("SelectV2", {found, in_front(m.weights), number(g, 0)})
                                    : g.cast(found, DType::kFloat);
    counts.push_back(sum_axis(g, each, 1));
  }
  return counts;
}

// What lies in each bucket, added up from the last threshold to the first. By label: the buckets of
// one label after those of the one before.
class Buckets {
 public:
  Buckets(GraphBuilder& g, Endpoint predictions, const Thresholds& thresholds, bool by_label)
      : g_(g), size_(thresholds.size()), labels_(by_label ? g.shape(predictions)[1] : 1) {
    const Endpoint below_one = g.op("Minimum", {predictions, number(g, 1)});
    const Endpoint within = g.op("Maximum", {below_one, number(g, 0)});
    const Endpoint steps = number(g, static_cast<double>(size_ - 1));
    Endpoint at = g.sub(g.op("Ceil", {g.mul(within, steps)}), number(g, 1));
    // All lie above a first threshold that is below 0.
    if (thresholds.beyond) at = g.op("Relu", {at});
    at = g.cast(at, DType::kInt32);
    if (by_label) {
      std::vector<int64_t> firsts;
      for (int64_t label = 0; label < labels_; ++label) firsts.push_back(label * size_);
      const Endpoint outside = g.op("Less", {at, g.scalar<int32_t>(0)});
      at = g.op("SelectV2", {outside, at, g.add(at, g.integers(firsts))});
    }
    at_ = g.reshape(at, g.integers({-1}));
  }

  Endpoint above(Endpoint counted) const {
    const Endpoint flat = g_.reshape(counted, g_.integers({-1}));
    const Endpoint size = g_.scalar(static_cast<int32_t>(size_ * labels_));
    const Endpoint in_bucket = g_.op("UnsortedSegmentSum", {flat, at_, size});
    const Endpoint by_label = g_.reshape(in_bucket, g_.integers({labels_, size_}));
    return g_.op("Cumsum", {by_label, g_.scalar<int32_t>(1)}, {{"reverse", true}});
  }
  // (labels, thresholds) as the sums are kept.
  Endpoint as_kept(Endpoint x, bool by_label) const {
    return by_label ? g_.op("Transpose", {x, g_.integers({1, 0})})
                    : g_.reshape(x, g_.integers({size_}));
  }

 private:
  GraphBuilder& g_;
  int64_t size_, labels_;
  Endpoint at_;
};

std::vector<Endpoint> count_buckets(GraphBuilder& g, const Marked& m, const Thresholds& thresholds,
                                    std::span<const Outcome> outcomes, bool by_label) {
  const Buckets buckets(g, m.predictions, thresholds, by_label);
  const Endpoint label = g.cast(is_yes(g, m.labels), DType::kFloat);
  std::vector<Endpoint> counts;
  for (const Outcome outcome : outcomes) {
    const bool of_yes = outcome == Outcome::kTruePositive || outcome == Outcome::kFalseNegative;
    Endpoint counted = of_yes ? label : g.sub(number(g, 1), label);
    if (m.weights) counted = g.mul(counted, m.weights);
    Endpoint count = buckets.above(counted);
    if (outcome == Outcome::kTrueNegative || outcome == Outcome::kFalseNegative) {
      const int64_t rows[] = {0};
      const Endpoint all = by_label
                               ? g.op("ExpandDims", {g.sum(counted, rows), g.scalar<int32_t>(1)})
                               : losses::sum_all(g, counted);
      count = g.sub(all, count);
    }
    counts.push_back(buckets.as_kept(count, by_label));
  }
  return counts;
}

}  // namespace

Thresholds Thresholds::spread(int64_t count) {
  Thresholds made;
  if (count == 1) {
    made.values = {0.5};
    return made;
  }
  for (int64_t i = 0; i < count; ++i) {
    made.values.push_back(static_cast<double>(i) / static_cast<double>(count - 1));
  }
  made.even = true;
  return made;
}

// As numpy.allclose() with Keras' epsilon.
bool Thresholds::are_even(std::span<const double> values) {
  if (values.size() < 3) return false;
  for (size_t i = 0; i < values.size(); ++i) {
    const double even =
        static_cast<double>(static_cast<float>(i) / static_cast<float>(values.size() - 1));
    if (!(std::abs(values[i] - even) <= losses::kEpsilon + 1e-5 * even)) return false;
  }
  return true;
}

StatusOr<Thresholds> Thresholds::from_json(const Json& json, double otherwise,
                                           std::string_view who) {
  Thresholds made;
  if (json.is_null()) {
    made.values = {otherwise};
    return made;
  }
  const Json::Array one = {json};
  for (const Json& value : json.items() ? *json.items() : one) {
    const std::optional<double> number = value.number();
    if (!number || !(*number >= 0 && *number <= 1)) {
      return invalid_argument("metric ", who, ": 'thresholds' is ", json.dump().substr(0, 100),
                              ", expected numbers from 0 to 1");
    }
    made.values.push_back(*number);
  }
  if (made.values.empty()) return invalid_argument("metric ", who, ": there are no thresholds");
  made.even = are_even(made.values);
  return made;
}

std::string_view sum_name(Outcome outcome) {
  constexpr std::string_view kNames[] = {"true_positives", "false_positives", "true_negatives",
                                         "false_negatives"};
  return kNames[static_cast<size_t>(outcome)];
}

std::vector<Endpoint> count_outcomes(GraphBuilder& g, const Metric::Batch& batch,
                                     const Thresholds& thresholds,
                                     std::span<const Outcome> outcomes,
                                     const CountOptions& options) {
  const Marked marked = mark(g, batch, options);
  if (!g.status().ok()) return {};
  return thresholds.even ? count_buckets(g, marked, thresholds, outcomes, options.by_label)
                         : count_each(g, marked, thresholds, outcomes, options.by_label);
}

Endpoint share(GraphBuilder& g, Endpoint a, Endpoint b) {
  return g.op("DivNoNan", {a, g.add(a, b)});
}

}  // namespace tenon::keras::metrics
