// The area under the curve that thresholds make (keras/src/metrics/confusion_metrics.py, AUC).
#include "tenon/keras/losses/builtin.h"
#include "tenon/keras/metrics/thresholds.h"

namespace tenon::keras::metrics {

namespace {

enum class Curve : uint8_t { kRoc, kPr, kPrGain };
enum class Heights : uint8_t { kInterpolation, kMinoring, kMajoring };

template <class T>
struct Choice {
  std::string_view name, other_name;
  T value;
};
constexpr Choice<Curve> kCurves[] = {
    {"ROC", "roc", Curve::kRoc}, {"PR", "pr", Curve::kPr}, {"PRGAIN", "prgain", Curve::kPrGain}};
constexpr Choice<Heights> kHeights[] = {{"interpolation", "Interpolation", Heights::kInterpolation},
                                        {"minoring", "Minoring", Heights::kMinoring},
                                        {"majoring", "Majoring", Heights::kMajoring}};

template <class T>
Status choose(std::string_view option, const std::string& name, std::span<const Choice<T>> choices,
              T& value) {
  std::vector<std::string_view> names;
  for (const Choice<T>& choice : choices) {
    if (name == choice.name || name == choice.other_name) {
      value = choice.value;
      return absl::OkStatus();
    }
    names.push_back(choice.name);
  }
  return invalid_argument("metric AUC: '", option, "' is '", name, "', expected ",
                          join(names, ", "));
}

// All thresholds but the last, and all but the first.
Endpoint lower(GraphBuilder& g, Endpoint x) { return g.slice(x, 0, -1); }
Endpoint upper(GraphBuilder& g, Endpoint x) { return g.slice(x, 1); }

class Auc final : public Metric {
 public:
  std::string_view class_name() const override { return "AUC"; }
  void fields(ConfigFields& f) override {
    f.field("num_thresholds", count_);
    f.field("curve", curve_name_);
    f.field("summation_method", heights_name_);
    f.field("thresholds", given_);
    f.field("multi_label", options_.by_label);
    f.field("num_labels", num_labels_);
    f.field("label_weights", weights_json_);
    f.field("from_logits", from_logits_);
  }
  Status check() override {
    TENON_RETURN_IF_ERROR(choose<Curve>("curve", curve_name_, kCurves, curve_));
    TENON_RETURN_IF_ERROR(choose<Heights>("summation_method", heights_name_, kHeights, heights_));
    if (num_labels_ && !options_.by_label) {
      return invalid_argument("metric AUC: 'num_labels' is only for 'multi_label'");
    }
    TENON_RETURN_IF_ERROR(read_label_weights());
    return set_thresholds();
  }
  StatusOr<std::vector<Sum>> sums(const PartialShape& y_true,
                                  const PartialShape& y_pred) const override;
  std::vector<Endpoint> addends(GraphBuilder& g, const Batch& batch) const override {
    Batch judged = batch;
    if (from_logits_) judged.y_pred = g.op("Sigmoid", {batch.y_pred});
    CountOptions options = options_;
    if (!options.by_label) options.label_weights = label_weights_;
    return count_outcomes(g, judged, thresholds_, kAllOutcomes, options);
  }
  Endpoint result(GraphBuilder& g, std::span<const Endpoint> sums) const override {
    if (curve_ == Curve::kPr && heights_ == Heights::kInterpolation) {
      return total(g, interpolated_pr(g, sums));
    }
    const auto [x, y] = points(g, sums);
    const Endpoint width = g.sub(lower(g, x), upper(g, x));
    return total(g, g.mul(width, heights(g, y)));
  }

 private:
  struct Points {
    Endpoint x, y;
  };
  Status read_label_weights();
  Status set_thresholds();
  Points points(GraphBuilder& g, std::span<const Endpoint> sums) const;
  Endpoint heights(GraphBuilder& g, Endpoint y) const;
  static Endpoint interpolated_pr(GraphBuilder& g, std::span<const Endpoint> sums);
  Endpoint total(GraphBuilder& g, Endpoint areas) const;

  int64_t count_ = 200;
  std::string curve_name_ = "ROC", heights_name_ = "interpolation";
  Json given_, weights_json_;
  std::optional<int64_t> num_labels_;
  bool from_logits_ = false;

  Curve curve_ = Curve::kRoc;
  Heights heights_ = Heights::kInterpolation;
  Thresholds thresholds_;
  CountOptions options_;
  std::vector<double> label_weights_;
};

// Keras writes what was a list as a tensor: {"class_name": "__tensor__", "config": {"value": ...}}.
Status Auc::read_label_weights() {
  const Json& list = weights_json_.is_object() ? weights_json_["config"]["value"] : weights_json_;
  if (weights_json_.is_null()) return absl::OkStatus();
  for (const Json& weight : list.items() ? *list.items() : Json::Array{nullptr}) {
    if (!weight.number()) {
      return invalid_argument("metric AUC: 'label_weights' is ", list.dump().substr(0, 100),
                              ", expected a list of numbers");
    }
    label_weights_.push_back(*weight.number());
  }
  return absl::OkStatus();
}

// One lies below and one above all predictions.
Status Auc::set_thresholds() {
  if (given_.is_null()) {
    if (count_ < 2 || count_ > kMostThresholds) {
      return invalid_argument("metric AUC: 'num_thresholds' is ", count_, ", expected 2 to ",
                              kMostThresholds);
    }
    thresholds_ = Thresholds::spread(count_);
    thresholds_.even = true;
  } else {
    TENON_ASSIGN_OR_RETURN(thresholds_, Thresholds::from_json(given_, 0, class_name()));
    std::vector<double>& values = thresholds_.values;
    std::sort(values.begin(), values.end());
    values.insert(values.begin(), 0);
    values.push_back(1);
    thresholds_.even = Thresholds::are_even(values);
  }
  thresholds_.beyond = true;
  thresholds_.values.front() -= losses::kEpsilon;
  thresholds_.values.back() += losses::kEpsilon;
  return absl::OkStatus();
}

StatusOr<std::vector<Metric::Sum>> Auc::sums(const PartialShape&,
                                             const PartialShape& y_pred) const {
  Shape shape{thresholds_.size()};
  const int rank = y_pred.rank();
  if (options_.by_label) {
    if (rank != 2 || y_pred[1] < 0) {
      return invalid_argument(
          "AUC with multi_label wants predictions of shape (rows, labels), not ", y_pred);
    }
    if (num_labels_ && *num_labels_ != 0 && *num_labels_ != y_pred[1]) {
      return invalid_argument("AUC: 'num_labels' is ", *num_labels_, ", the predictions have ",
                              y_pred[1]);
    }
    if (y_pred[1] > INT32_MAX / thresholds_.size()) {
      return resource_exhausted("AUC of ", y_pred[1], " labels at ", thresholds_.size(),
                                " thresholds");
    }
    shape.append(y_pred[1]);
  }
  const auto labels = static_cast<int64_t>(label_weights_.size());
  if (labels > 0 && (rank < 1 || (labels != 1 && labels != y_pred[rank - 1]))) {
    return invalid_argument("AUC: there are ", labels, " label weights for predictions of shape ",
                            y_pred);
  }
  std::vector<Sum> sums;
  for (const Outcome outcome : kAllOutcomes) sums.push_back({sum_name(outcome), shape});
  return sums;
}

Auc::Points Auc::points(GraphBuilder& g, std::span<const Endpoint> sums) const {
  const Endpoint tp = sums[0], fp = sums[1], tn = sums[2], fn = sums[3];
  const Endpoint recall = share(g, tp, fn);
  if (curve_ == Curve::kRoc) return {share(g, fp, tn), recall};
  if (curve_ == Curve::kPr) return {recall, share(g, tp, fp)};
  const Endpoint zero = number(g, 0), one = number(g, 1);
  const Endpoint scale = g.op("DivNoNan", {g.add(tp, fn), g.add(tn, fp)});
  const Endpoint none = g.op("Equal", {tp, zero});
  const auto gain = [&](Endpoint errors, Endpoint without) {
    const Endpoint found = g.sub(one, g.mul(scale, g.op("DivNoNan", {errors, tp})));
    return g.op("SelectV2", {none, without, found});
  };
  return {g.op("Maximum", {gain(fn, zero), zero}), gain(fp, one)};
}

Endpoint Auc::heights(GraphBuilder& g, Endpoint y) const {
  const Endpoint a = lower(g, y), b = upper(g, y);
  if (heights_ == Heights::kMinoring) return g.op("Minimum", {a, b});
  if (heights_ == Heights::kMajoring) return g.op("Maximum", {a, b});
  return g.div(g.add(a, b), number(g, 2));
}

// Davis and Goadrich: true and false positives are interpolated, not their ratio.
Endpoint Auc::interpolated_pr(GraphBuilder& g, std::span<const Endpoint> sums) {
  const Endpoint tp = sums[0], fn = sums[3], zero = number(g, 0);
  const Endpoint p = g.add(tp, sums[1]);
  const Endpoint from = lower(g, p), to = upper(g, p);
  const Endpoint more = g.sub(lower(g, tp), upper(g, tp));
  const Endpoint slope = g.op("DivNoNan", {more, g.op("Maximum", {g.sub(from, to), zero})});
  const Endpoint intercept = g.sub(upper(g, tp), g.mul(slope, to));
  const Endpoint both =
      g.op("LogicalAnd", {g.op("Greater", {from, zero}), g.op("Greater", {to, zero})});
  const Endpoint ratio = g.op("DivNoNan", {from, g.op("Maximum", {to, zero})});
  const Endpoint log = g.op("Log", {g.op("SelectV2", {both, ratio, number(g, 1)})});
  const Endpoint area = g.mul(slope, g.add(more, g.mul(intercept, log)));
  const Endpoint yes = g.op("Maximum", {g.add(upper(g, tp), upper(g, fn)), zero});
  return g.op("DivNoNan", {area, yes});
}

// Of several labels the mean, by weight.
Endpoint Auc::total(GraphBuilder& g, Endpoint areas) const {
  const Endpoint by_label = sum_axis(g, areas, 0);
  if (!options_.by_label) return by_label;
  if (label_weights_.empty()) return mean_all(g, by_label);
  const std::vector<float> values(label_weights_.begin(), label_weights_.end());
  const Endpoint weights = g.constant(Tensor::vector<float>(values));
  return g.op("DivNoNan",
              {losses::sum_all(g, g.mul(by_label, weights)), losses::sum_all(g, weights)});
}

}  // namespace

MetricPtr make_auc() { return std::make_shared<Auc>(); }

}  // namespace tenon::keras::metrics
