// How many predictions lie above and below thresholds, beside labels that are yes or no: what the
// metrics of confusion.cc and auc.cc are functions of. Internal to keras/.
#pragma once

#include "tenon/keras/metrics/builtin.h"

namespace tenon::keras::metrics {

struct Thresholds {
  std::vector<double> values;
  // From 0 to 1 in equal steps: predictions are counted in buckets, as Keras does, which differs
  // where one lies on a threshold but for rounding.
  bool even = false;
  // The first lies below 0 and the last above 1, so that all predictions lie between them.
  bool beyond = false;

  int64_t size() const { return static_cast<int64_t>(values.size()); }
  // Keras' thresholds for a number of them: from 0 to 1, or 0.5 for one.
  static Thresholds spread(int64_t count);
  // Of a number, a list of numbers, or null: `otherwise`. INVALID_ARGUMENT unless they are 0 to 1.
  static StatusOr<Thresholds> from_json(const Json& json, double otherwise, std::string_view who);
  // Do they lie from 0 to 1 in equal steps?
  static bool are_even(std::span<const double> values);
};

// Thresholds are counted in buckets of an int32.
constexpr int64_t kMostThresholds = 1 << 20;

enum class Outcome : uint8_t { kTruePositive, kFalsePositive, kTrueNegative, kFalseNegative };
// In the order of their numbers.
inline constexpr Outcome kAllOutcomes[] = {Outcome::kTruePositive, Outcome::kFalsePositive,
                                           Outcome::kTrueNegative, Outcome::kFalseNegative};

// "true_positives": the sum of an outcome.
std::string_view sum_name(Outcome outcome);

struct CountOptions {
  std::optional<int64_t> top_k = {};     // the others count as none
  std::optional<int64_t> class_id = {};  // this class alone
  bool by_label = false;                 // one count for each label, not one for all
  std::vector<double> label_weights = {};
};

// What a batch adds to the counts of `outcomes`: each of the thresholds' number, or (thresholds,
// labels). keras/src/metrics/metrics_utils.py, update_confusion_matrix_variables.
std::vector<Endpoint> count_outcomes(GraphBuilder& g, const Metric::Batch& batch,
                                     const Thresholds& thresholds,
                                     std::span<const Outcome> outcomes,
                                     const CountOptions& options);

// a / (a + b), 0 where both are.
Endpoint share(GraphBuilder& g, Endpoint a, Endpoint b);

}  // namespace tenon::keras::metrics
