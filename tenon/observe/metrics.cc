#include "tenon/observe/metrics.h"

#include <algorithm>

#include "tenon/base/log.h"

namespace tenon {

BucketLimits exponential_limits(double scale, double growth, int count) {
  BucketLimits limits;
  double limit = scale;
  for (int i = 0; i < count; ++i, limit *= growth) limits.push_back(limit);
  return limits;
}

Histogram::Histogram(const BucketLimits& limits)
    : limits_(limits), counts_(std::make_unique<std::atomic<int64_t>[]>(limits.size() + 1)) {}

void Histogram::observe(double value) {
  const auto bucket = std::upper_bound(limits_.begin(), limits_.end(), value) - limits_.begin();
  counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<int64_t> Histogram::counts() const {
  std::vector<int64_t> counts(limits_.size() + 1);
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = counts_[i].load(std::memory_order_relaxed);
  }
  return counts;
}

template <class Cell>
Cell& MetricFamily<Cell>::cell(std::span<const std::string_view> values) {
  TENON_CHECK(values.size() == label_names_.size());
  LabelValues key(values.begin(), values.end());
  std::lock_guard lock(mutex_);
  if (cells_.size() >= kMaxCells && !cells_.contains(key)) {
    std::fill(key.begin(), key.end(), "other");
  }
  std::unique_ptr<Cell>& cell = cells_[key];
  if (!cell) {
    if constexpr (std::is_same_v<Cell, Histogram>) {
      cell = std::make_unique<Cell>(limits_);
    } else {
      cell = std::make_unique<Cell>();
    }
  }
  return *cell;
}

template <class Cell>
std::shared_ptr<Cell> MetricFamily<Cell>::passing_cell(
    std::initializer_list<std::string_view> values) {
  TENON_CHECK(values.size() == label_names_.size());
  LabelValues key(values.begin(), values.end());
  std::lock_guard lock(mutex_);
  if (!passing_cells_.contains(key)) {
    std::erase_if(passing_cells_, [](const auto& entry) { return entry.second.expired(); });
    if (passing_cells_.size() >= kMaxCells) std::fill(key.begin(), key.end(), "other");
  }
  std::weak_ptr<Cell>& known = passing_cells_[key];
  std::shared_ptr<Cell> cell = known.lock();
  if (cell) return cell;
  if constexpr (std::is_same_v<Cell, Histogram>) {
    cell = std::make_shared<Cell>(limits_);
  } else {
    cell = std::make_shared<Cell>();
  }
  known = cell;
  return cell;
}

template <class Cell>
void MetricFamily<Cell>::for_each(FunctionRef<void(const LabelValues&, const Cell&)> visit) const {
  std::lock_guard lock(mutex_);
  for (const auto& [values, cell] : cells_) visit(values, *cell);
  for (const auto& [values, weak] : passing_cells_) {
    if (const std::shared_ptr<Cell> cell = weak.lock()) visit(values, *cell);
  }
}

template class MetricFamily<Counter>;
template class MetricFamily<Gauge>;
template class MetricFamily<Histogram>;

template <class Cell>
MetricFamily<Cell>& MetricRegistry::family(std::string_view name, std::vector<std::string> labels,
                                           BucketLimits limits) {
  using Pointer = std::unique_ptr<MetricFamily<Cell>>;
  std::lock_guard lock(mutex_);
  auto found = metrics_.find(name);
  if (found == metrics_.end()) {
    Pointer made = std::make_unique<MetricFamily<Cell>>(std::move(labels), std::move(limits));
    return *std::get<Pointer>(metrics_.emplace(name, std::move(made)).first->second);
  }
  TENON_CHECK(std::holds_alternative<Pointer>(found->second));
  MetricFamily<Cell>& family = *std::get<Pointer>(found->second);
  TENON_CHECK(family.label_names() == labels && family.limits() == limits);
  return family;
}

MetricFamily<Counter>& MetricRegistry::counter(std::string_view name,
                                               std::vector<std::string> labels) {
  return family<Counter>(name, std::move(labels), {});
}

MetricFamily<Gauge>& MetricRegistry::gauge(std::string_view name, std::vector<std::string> labels) {
  return family<Gauge>(name, std::move(labels), {});
}

MetricFamily<Histogram>& MetricRegistry::histogram(std::string_view name,
                                                   std::vector<std::string> labels,
                                                   BucketLimits limits) {
  return family<Histogram>(name, std::move(labels), std::move(limits));
}

std::shared_ptr<void> MetricRegistry::before_reading(std::function<void()> refresh) {
  std::lock_guard lock(refreshing_);
  const auto place = refreshes_.insert(refreshes_.end(), std::move(refresh));
  return {this, [place](MetricRegistry* registry) {
            std::lock_guard ending(registry->refreshing_);
            registry->refreshes_.erase(place);
          }};
}

void MetricRegistry::for_each(
    FunctionRef<void(const std::string& name, const AnyMetric&)> visit) const {
  {
    std::lock_guard lock(refreshing_);
    for (const auto& refresh : refreshes_) refresh();
  }
  std::lock_guard lock(mutex_);
  for (const auto& [name, metric] : metrics_) visit(name, metric);
}

MetricRegistry& MetricRegistry::global() {
  static MetricRegistry& registry = *new MetricRegistry;  // never destroyed: threads outlive main
  return registry;
}

}  // namespace tenon
