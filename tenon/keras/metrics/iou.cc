// How far the places of a class, as they are and as they are found, lie over each other: what they
// share, of all that either has (keras/src/metrics/iou_metrics.py).
#include "tenon/keras/losses/builtin.h"
#include "tenon/keras/metrics/builtin.h"

namespace tenon::keras::metrics {

namespace {

// The confusion matrix is square in these.
constexpr int64_t kMostClasses = 1 << 12;

// What the classes of Keras differ by.
struct IoURow {
  std::string_view class_name;
  bool binary = false;   // two classes, by a threshold
  bool one_hot = false;  // targets hold a number for each class
  bool all_classes = false;
};
constexpr IoURow kIoU = {"IoU"};
constexpr IoURow kBinaryIoU = {"BinaryIoU", true};
constexpr IoURow kMeanIoU = {"MeanIoU", false, false, true};
constexpr IoURow kOneHotIoU = {"OneHotIoU", false, true};
constexpr IoURow kOneHotMeanIoU = {"OneHotMeanIoU", false, true, true};

class IntersectionOverUnion final : public Metric {
 public:
  explicit IntersectionOverUnion(const IoURow& row)
      : row_(row), sparse_y_true_(!row.one_hot), sparse_y_pred_(!row.one_hot) {
    if (row.binary) classes_ = 2, targets_ = {0, 1};
  }
  std::string_view class_name() const override { return row_.class_name; }
  void fields(ConfigFields& f) override {
    if (!row_.all_classes) f.field("target_class_ids", targets_);
    if (row_.binary) {
      f.field("threshold", threshold_);
      return;
    }
    f.field("num_classes", classes_);
    f.field("ignore_class", ignored_);
    if (!row_.one_hot) f.field("sparse_y_true", sparse_y_true_);
    f.field("sparse_y_pred", sparse_y_pred_);
    f.only("axis", -1);
  }
  Status check() override;
  StatusOr<std::vector<Sum>> sums(const PartialShape&, const PartialShape&) const override {
    return std::vector<Sum>{{"total_confusion_matrix", Shape{classes_, classes_}, dtype()}};
  }
  std::vector<Endpoint> addends(GraphBuilder& g, const Batch& batch) const override;
  Endpoint result(GraphBuilder& g, std::span<const Endpoint> sums) const override;

 private:
  // Keras counts in integers unless it is told otherwise; weights are then cut off to them.
  DType dtype() const {
    return dtype_.string() && dtype_.string()->find("float") != std::string::npos ? DType::kFloat
                                                                                  : DType::kInt64;
  }
  // Class numbers in one row, of the dtype of the sums.
  Endpoint class_numbers(GraphBuilder& g, Endpoint y, bool sparse) const {
    if (!sparse) y = g.op("ArgMax", {y, g.scalar<int32_t>(-1)}, {{"output_type", DType::kInt64}});
    return g.reshape(g.cast(y, dtype()), g.integers({-1}));
  }

  const IoURow& row_;
  int64_t classes_ = 0;
  std::vector<int64_t> targets_;
  std::optional<int64_t> ignored_;
  double threshold_ = 0.5;
  bool sparse_y_true_, sparse_y_pred_;
};

Status IntersectionOverUnion::check() {
  if (classes_ < 1 || classes_ > kMostClasses) {
    return invalid_argument("metric ", class_name(), ": 'num_classes' is ", classes_,
                            ", expected 1 to ", kMostClasses);
  }
  for (int64_t id = 0; row_.all_classes && id < classes_; ++id) targets_.push_back(id);
  if (targets_.empty()) {
    return invalid_argument("metric ", class_name(), ": 'target_class_ids' is missing");
  }
  for (int64_t& id : targets_) {
    if (id < 0) id += classes_;
    if (id >= 0 && id < classes_) continue;
    return invalid_argument("metric ", class_name(), ": a target class is not within 0 to ",
                            classes_ - 1);
  }
  return absl::OkStatus();
}

std::vector<Endpoint> IntersectionOverUnion::addends(GraphBuilder& g, const Batch& batch) const {
  Endpoint y_pred = batch.y_pred;
  if (row_.binary) {
    y_pred = g.op("GreaterEqual", {g.cast(y_pred, DType::kFloat), number(g, threshold_)});
  }
  const Endpoint label = class_numbers(g, batch.y_true, sparse_y_true_);
  const Endpoint found = class_numbers(g, y_pred, sparse_y_pred_);
  const auto scalar = [&](int64_t value) {
    return g.scalar_of(dtype(), static_cast<double>(value));
  };
  Endpoint weight = scalar(1);
  if (batch.sample_weight) {
    weight = g.cast(batch.sample_weight, dtype());
    if (g.status().ok() && g.shape(weight).rank() > 1) {
      weight = g.reshape(weight, g.integers({-1}));
    }
  }
  weight = g.op("BroadcastTo", {weight, g.shape_of(label)});
  const auto within = [&](Endpoint y) {
    return g.op("LogicalAnd",
                {g.op("GreaterEqual", {y, scalar(0)}), g.op("Less", {y, scalar(classes_)})});
  };
  Endpoint counts = g.op("LogicalAnd", {within(label), within(found)});
  if (ignored_) {
    counts = g.op("LogicalAnd", {counts, g.op("NotEqual", {label, scalar(*ignored_)})});
  }
  // A row of the matrix for each label.
  const auto cell_part = [&](Endpoint y) { return g.cast(y, DType::kInt64); };
  Endpoint cell = g.add(g.mul(cell_part(label), g.scalar<int64_t>(classes_)), cell_part(found));
  cell = g.op("SelectV2", {counts, cell, g.scalar<int64_t>(-1)});
  const Endpoint cells =
      g.op("UnsortedSegmentSum", {weight, cell, g.scalar<int64_t>(classes_ * classes_)});
  return {g.reshape(cells, g.integers({classes_, classes_}))};
}

Endpoint IntersectionOverUnion::result(GraphBuilder& g, std::span<const Endpoint> sums) const {
  std::vector<int64_t> diagonal;
  for (const int64_t id : targets_) diagonal.push_back(id * (classes_ + 1));
  const auto take = [&](Endpoint from, const std::vector<int64_t>& places) {
    return g.op("GatherV2", {from, g.integers(places), g.scalar<int32_t>(0)});
  };
  const Endpoint either = g.add(sum_axis(g, sums[0], 0), sum_axis(g, sums[0], 1));
  const Endpoint both = take(g.reshape(sums[0], g.integers({-1})), diagonal);
  const Endpoint whole = g.cast(g.sub(take(either, targets_), both), DType::kFloat);
  const Endpoint epsilon = number(g, losses::kEpsilon);
  // A class that is nowhere does not count.
  const Endpoint exists = g.op("Greater", {whole, number(g, 1e-9)});
  const Endpoint each = g.div(g.cast(both, DType::kFloat), g.add(whole, epsilon));
  const Endpoint counted = g.op("SelectV2", {exists, each, number(g, 0)});
  const Endpoint number_of = losses::sum_all(g, g.cast(exists, DType::kFloat));
  return g.div(losses::sum_all(g, counted), g.add(number_of, epsilon));
}

}  // namespace

MetricPtr make_iou() { return std::make_shared<IntersectionOverUnion>(kIoU); }
MetricPtr make_binary_iou() { return std::make_shared<IntersectionOverUnion>(kBinaryIoU); }
MetricPtr make_mean_iou() { return std::make_shared<IntersectionOverUnion>(kMeanIoU); }
MetricPtr make_one_hot_iou() { return std::make_shared<IntersectionOverUnion>(kOneHotIoU); }
MetricPtr make_one_hot_mean_iou() {
  return std::make_shared<IntersectionOverUnion>(kOneHotMeanIoU);
}

}  // namespace tenon::keras::metrics
