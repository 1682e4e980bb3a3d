// What the files of metrics/ share, and the makers behind the rows of metrics/table.cc.
#pragma once

#include "tenon/keras/metric.h"

namespace tenon::keras::metrics {

// Keras' MeanMetricWrapper and Mean: the mean of one value a sample, each by its weight.
class MeanMetric : public Metric {
 public:
  StatusOr<std::vector<Sum>> sums(const PartialShape& y_true,
                                  const PartialShape& y_pred) const override;
  std::vector<Endpoint> addends(GraphBuilder& g, const Batch& batch) const override;
  Endpoint result(GraphBuilder& g, std::span<const Endpoint> sums) const override;

 protected:
  // One value for each sample (and position).
  virtual Value values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const = 0;
  // What the mask of the predictions leaves out counts in none of Keras' metrics but those that
  // wrap a function.
  virtual bool heeds_mask() const { return true; }
};

// A mean that is a function without options.
struct MeanFunction {
  std::string_view class_name;
  Endpoint (*values)(GraphBuilder& g, Endpoint y_true, Endpoint y_pred);
  Metric::Direction direction = Metric::Direction::kUp;
};
MetricPtr mean_of(const MeanFunction& function);
// The values of a loss.
MetricPtr mean_of(LossPtr loss);
// The mean of a loss over batches, whatever their rows.
MetricPtr mean_of_batches(LossPtr loss);

Endpoint number(GraphBuilder& g, double value);  // float32
Endpoint sum_axis(GraphBuilder& g, Endpoint x, int64_t axis);
// The mean over all elements.
Endpoint mean_all(GraphBuilder& g, Endpoint x);

// accuracy.cc
MetricPtr make_accuracy();
MetricPtr make_binary_accuracy();
MetricPtr make_categorical_accuracy();
MetricPtr make_sparse_categorical_accuracy();
MetricPtr make_top_k_accuracy();
MetricPtr make_sparse_top_k_accuracy();
// regression.cc
MetricPtr make_cosine_similarity();
MetricPtr make_log_cosh_error();
MetricPtr make_root_mean_squared_error();
MetricPtr make_pearson_correlation();
MetricPtr make_concordance_correlation();
MetricPtr make_r2_score();
// confusion.cc
MetricPtr make_true_positives();
MetricPtr make_false_positives();
MetricPtr make_true_negatives();
MetricPtr make_false_negatives();
MetricPtr make_precision();
MetricPtr make_recall();
MetricPtr make_sensitivity_at_specificity();
MetricPtr make_specificity_at_sensitivity();
MetricPtr make_precision_at_recall();
MetricPtr make_recall_at_precision();
// auc.cc, f_score.cc
MetricPtr make_auc();
MetricPtr make_fbeta_score();
MetricPtr make_f1_score();
// iou.cc
MetricPtr make_iou();
MetricPtr make_binary_iou();
MetricPtr make_mean_iou();
MetricPtr make_one_hot_iou();
MetricPtr make_one_hot_mean_iou();

}  // namespace tenon::keras::metrics
