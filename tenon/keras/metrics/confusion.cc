// Metrics of labels that are yes or no, counted at thresholds.
#include "tenon/keras/metrics/thresholds.h"

namespace tenon::keras::metrics {

namespace {

constexpr double kTopK = -1e10;  // the threshold that all of the top k lie above

// What the classes here share: sums of counts, one for each threshold.
class ConfusionMetric : public Metric {
 public:
  StatusOr<std::vector<Sum>> sums(const PartialShape&, const PartialShape&) const override {
    std::vector<Sum> sums;
    for (const Outcome outcome : outcomes()) {
      sums.push_back({sum_name(outcome), Shape{thresholds_.size()}});
    }
    return sums;
  }
  std::vector<Endpoint> addends(GraphBuilder& g, const Batch& batch) const override {
    return count_outcomes(g, batch, thresholds_, outcomes(), options_);
  }

 protected:
  virtual std::span<const Outcome> outcomes() const = 0;
  // A number where there is one threshold.
  Endpoint one_or_all(GraphBuilder& g, Endpoint by_threshold) const {
    return thresholds_.size() == 1 ? g.element(by_threshold, 0) : by_threshold;
  }

  Thresholds thresholds_;
  CountOptions options_;
};

struct CountRow {
  std::string_view class_name;
  Outcome outcome;
};
constexpr CountRow kTruePositives = {"TruePositives", Outcome::kTruePositive};
constexpr CountRow kFalsePositives = {"FalsePositives", Outcome::kFalsePositive};
constexpr CountRow kTrueNegatives = {"TrueNegatives", Outcome::kTrueNegative};
constexpr CountRow kFalseNegatives = {"FalseNegatives", Outcome::kFalseNegative};

class OutcomeCount final : public ConfusionMetric {
 public:
  explicit OutcomeCount(const CountRow& row) : row_(row) {}
  std::string_view class_name() const override { return row_.class_name; }
  void fields(ConfigFields& f) override { f.field("thresholds", given_); }
  Status check() override {
    TENON_ASSIGN_OR_RETURN(thresholds_, Thresholds::from_json(given_, 0.5, class_name()));
    return absl::OkStatus();
  }
  Direction direction() const override { return Direction::kUnknown; }
  Endpoint result(GraphBuilder& g, std::span<const Endpoint> sums) const override {
    return one_or_all(g, sums[0]);
  }

 protected:
  std::span<const Outcome> outcomes() const override { return std::span(&row_.outcome, 1); }

 private:
  const CountRow& row_;
  Json given_;
};

// The share of true positives beside another outcome.
struct ShareRow {
  std::string_view class_name;
  std::array<Outcome, 2> outcomes;
};
constexpr ShareRow kPrecision = {"Precision", {Outcome::kTruePositive, Outcome::kFalsePositive}};
constexpr ShareRow kRecall = {"Recall", {Outcome::kTruePositive, Outcome::kFalseNegative}};

class PositiveShare final : public ConfusionMetric {
 public:
  explicit PositiveShare(const ShareRow& row) : row_(row) {}
  std::string_view class_name() const override { return row_.class_name; }
  void fields(ConfigFields& f) override {
    f.field("thresholds", given_);
    f.field("top_k", options_.top_k);
    f.field("class_id", options_.class_id);
  }
  Status check() override {
    if (options_.top_k && *options_.top_k < 1) {
      return invalid_argument("metric ", class_name(), ": 'top_k' is ", *options_.top_k,
                              ", expected 1 or more");
    }
    const double otherwise = options_.top_k ? kTopK : 0.5;
    TENON_ASSIGN_OR_RETURN(thresholds_, Thresholds::from_json(given_, otherwise, class_name()));
    return absl::OkStatus();
  }
  Endpoint result(GraphBuilder& g, std::span<const Endpoint> sums) const override {
    return one_or_all(g, share(g, sums[0], sums[1]));
  }

 protected:
  std::span<const Outcome> outcomes() const override { return row_.outcomes; }

 private:
  const ShareRow& row_;
  Json given_;
};

// The best of one rate among the thresholds at which another is at least so much.
struct AtRow {
  std::string_view class_name;
  std::string_view option;
  // Rates are the share of the first outcome beside the second.
  std::array<Outcome, 2> best, held;
};
using Pair = std::array<Outcome, 2>;
constexpr Pair kOfPositives = {Outcome::kTruePositive, Outcome::kFalseNegative};
constexpr Pair kOfNegatives = {Outcome::kTrueNegative, Outcome::kFalsePositive};
constexpr Pair kOfFound = {Outcome::kTruePositive, Outcome::kFalsePositive};
constexpr AtRow kSensitivityAtSpecificity = {"SensitivityAtSpecificity", "specificity",
                                             kOfPositives, kOfNegatives};
constexpr AtRow kSpecificityAtSensitivity = {"SpecificityAtSensitivity", "sensitivity",
                                             kOfNegatives, kOfPositives};
constexpr AtRow kPrecisionAtRecall = {"PrecisionAtRecall", "recall", kOfFound, kOfPositives};
constexpr AtRow kRecallAtPrecision = {"RecallAtPrecision", "precision", kOfPositives, kOfFound};

class RateAtRate final : public ConfusionMetric {
 public:
  explicit RateAtRate(const AtRow& row) : row_(row) {}
  std::string_view class_name() const override { return row_.class_name; }
  void fields(ConfigFields& f) override {
    f.field("class_id", options_.class_id);
    f.field("num_thresholds", count_);
    f.field(row_.option, least_);
  }
  Status check() override {
    if (count_ < 1 || count_ > kMostThresholds) {
      return invalid_argument("metric ", class_name(), ": 'num_thresholds' is ", count_,
                              ", expected 1 to ", kMostThresholds);
    }
    if (!least_ || !(*least_ >= 0 && *least_ <= 1)) {
      return invalid_argument("metric ", class_name(), ": '", row_.option, "' is ",
                              least_ ? cat(*least_) : "missing", ", expected 0 to 1");
    }
    thresholds_ = Thresholds::spread(count_);
    return absl::OkStatus();
  }
  Endpoint result(GraphBuilder& g, std::span<const Endpoint> sums) const override {
    const auto rate = [&](const Pair& outcomes) {
      return share(g, sums[static_cast<size_t>(outcomes[0])],
                   sums[static_cast<size_t>(outcomes[1])]);
    };
    const Endpoint holds = g.op("GreaterEqual", {rate(row_.held), number(g, *least_)});
    const Endpoint allowed = g.op("SelectV2", {holds, rate(row_.best), number(g, 0)});
    return g.op("Max", {allowed, g.integers({0})});
  }

 protected:
  std::span<const Outcome> outcomes() const override { return kAllOutcomes; }

 private:
  const AtRow& row_;
  int64_t count_ = 200;
  std::optional<double> least_;
};

}  // namespace

MetricPtr make_true_positives() { return std::make_shared<OutcomeCount>(kTruePositives); }
MetricPtr make_false_positives() { return std::make_shared<OutcomeCount>(kFalsePositives); }
MetricPtr make_true_negatives() { return std::make_shared<OutcomeCount>(kTrueNegatives); }
MetricPtr make_false_negatives() { return std::make_shared<OutcomeCount>(kFalseNegatives); }
MetricPtr make_precision() { return std::make_shared<PositiveShare>(kPrecision); }
MetricPtr make_recall() { return std::make_shared<PositiveShare>(kRecall); }
MetricPtr make_sensitivity_at_specificity() {
  return std::make_shared<RateAtRate>(kSensitivityAtSpecificity);
}
MetricPtr make_specificity_at_sensitivity() {
  return std::make_shared<RateAtRate>(kSpecificityAtSensitivity);
}
MetricPtr make_precision_at_recall() { return std::make_shared<RateAtRate>(kPrecisionAtRecall); }
MetricPtr make_recall_at_precision() { return std::make_shared<RateAtRate>(kRecallAtPrecision); }

}  // namespace tenon::keras::metrics
