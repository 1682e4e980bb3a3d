// Metrics: counters, gauges and histograms under TensorFlow's names, one cell a set of label
// values.
//
// A cell is looked up once (a lock) and then updated without one: relaxed atomics, no order between
// cells. Cells, but for passing ones, and families live as long as their registry. All of it is
// thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tenon/base/function_ref.h"

namespace tenon {

class Counter {
 public:
  void add(int64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

class Gauge {
 public:
  void set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(int64_t amount) { value_.fetch_add(amount, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// Upper limits of a histogram's buckets, ascending; one more bucket, up to +Inf, follows them.
using BucketLimits = std::vector<double>;

// `count` limits scale * growth^i, by repeated multiplication as in TensorFlow Serving.
BucketLimits exponential_limits(double scale, double growth, int count);

// TensorFlow's bucket rule: a value equal to a limit counts in the bucket after it.
class Histogram {
 public:
  explicit Histogram(const BucketLimits& limits);  // `limits` outlives this
  void observe(double value);

  double sum() const { return sum_.load(std::memory_order_relaxed); }
  std::vector<int64_t> counts() const;  // one a bucket, not cumulative

 private:
  const BucketLimits& limits_;
  std::unique_ptr<std::atomic<int64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

// The cells of one metric.
template <class Cell>
class MetricFamily {
 public:
  using LabelValues = std::vector<std::string>;

  MetricFamily(std::vector<std::string> label_names, BucketLimits limits)
      : label_names_(std::move(label_names)), limits_(std::move(limits)) {}

  // The cell of these values, one for each label name; made on first use. Beyond kMaxCells sets of
  // values all new ones share the cell "other": a bound on what callers failed to bound.
  Cell& cell(std::initializer_list<std::string_view> values) {
    return cell(std::span<const std::string_view>(values.begin(), values.size()));
  }
  Cell& cell(std::span<const std::string_view> values);

  // The same, of what comes and goes: shown for as long as somebody holds it. Not beside a cell()
  // of the same values.
  std::shared_ptr<Cell> passing_cell(std::initializer_list<std::string_view> values);

  const std::vector<std::string>& label_names() const { return label_names_; }
  const BucketLimits& limits() const { return limits_; }

  // In the order of the label values, passing cells last.
  void for_each(FunctionRef<void(const LabelValues&, const Cell&)> visit) const;

  static constexpr size_t kMaxCells = 4096;

 private:
  const std::vector<std::string> label_names_;
  const BucketLimits limits_;  // empty unless Cell is Histogram
  mutable std::mutex mutex_;
  std::map<LabelValues, std::unique_ptr<Cell>> cells_;        // guarded by mutex_
  std::map<LabelValues, std::weak_ptr<Cell>> passing_cells_;  // guarded by mutex_
};

using AnyMetric =
    std::variant<std::unique_ptr<MetricFamily<Counter>>, std::unique_ptr<MetricFamily<Gauge>>,
                 std::unique_ptr<MetricFamily<Histogram>>>;

class MetricRegistry {
 public:
  // The metric of that name ("/tensorflow/serving/request_count"), declared on first use. The same
  // name asked for again with another kind or other labels is a bug of ours.
  MetricFamily<Counter>& counter(std::string_view name, std::vector<std::string> labels = {});
  MetricFamily<Gauge>& gauge(std::string_view name, std::vector<std::string> labels = {});
  MetricFamily<Histogram>& histogram(std::string_view name, std::vector<std::string> labels,
                                     BucketLimits limits);

  // Calls `refresh` before each for_each(), until what is returned is destroyed, which waits for a
  // call: for gauges of what is counted elsewhere. It may look cells up.
  [[nodiscard]] std::shared_ptr<void> before_reading(std::function<void()> refresh);

  // In the order of the names.
  void for_each(FunctionRef<void(const std::string& name, const AnyMetric&)> visit) const;

  // The one that the whole process shares.
  static MetricRegistry& global();

 private:
  template <class Cell>
  MetricFamily<Cell>& family(std::string_view name, std::vector<std::string> labels,
                             BucketLimits limits);
  mutable std::mutex refreshing_;               // before mutex_
  std::list<std::function<void()>> refreshes_;  // guarded by refreshing_
  mutable std::mutex mutex_;
  std::map<std::string, AnyMetric, std::less<>> metrics_;  // guarded by mutex_
};

}  // namespace tenon
