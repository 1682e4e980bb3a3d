#include "tenon/keras/metrics/builtin.h"
#include "tenon/keras/object_config.h"

namespace tenon::keras {

namespace {

struct MetricRow {
  std::string_view class_name;
  std::string_view name;  // where the config has none
  MetricPtr (*make)();
  bool is_function = false;  // keras.metrics has a function of that name too
};

// Every metric that is no loss. Adding one is a class and a row.
constexpr MetricRow kMetrics[] = {
    {"Accuracy", "accuracy", metrics::make_accuracy},
    {"BinaryAccuracy", "binary_accuracy", metrics::make_binary_accuracy, true},
    {"CategoricalAccuracy", "categorical_accuracy", metrics::make_categorical_accuracy, true},
    {"SparseCategoricalAccuracy", "sparse_categorical_accuracy",
     metrics::make_sparse_categorical_accuracy, true},
    {"TopKCategoricalAccuracy", "top_k_categorical_accuracy", metrics::make_top_k_accuracy, true},
    {"SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy",
     metrics::make_sparse_top_k_accuracy, true},
    {"CosineSimilarity", "cosine_similarity", metrics::make_cosine_similarity},
    {"LogCoshError", "logcosh", metrics::make_log_cosh_error},
    {"RootMeanSquaredError", "root_mean_squared_error", metrics::make_root_mean_squared_error},
    {"R2Score", "r2_score", metrics::make_r2_score},
    {"PearsonCorrelation", "pearson_correlation", metrics::make_pearson_correlation, true},
    {"ConcordanceCorrelation", "concordance_correlation", metrics::make_concordance_correlation,
     true},
    {"AUC", "auc", metrics::make_auc},
    {"Precision", "precision", metrics::make_precision},
    {"Recall", "recall", metrics::make_recall},
    {"TruePositives", "true_positives", metrics::make_true_positives},
    {"FalsePositives", "false_positives", metrics::make_false_positives},
    {"TrueNegatives", "true_negatives", metrics::make_true_negatives},
    {"FalseNegatives", "false_negatives", metrics::make_false_negatives},
    {"SensitivityAtSpecificity", "sensitivity_at_specificity",
     metrics::make_sensitivity_at_specificity},
    {"SpecificityAtSensitivity", "specificity_at_sensitivity",
     metrics::make_specificity_at_sensitivity},
    {"PrecisionAtRecall", "precision_at_recall", metrics::make_precision_at_recall},
    {"RecallAtPrecision", "recall_at_precision", metrics::make_recall_at_precision},
    {"F1Score", "f1_score", metrics::make_f1_score},
    {"FBetaScore", "fbeta_score", metrics::make_fbeta_score},
    {"IoU", "io_u", metrics::make_iou},
    {"BinaryIoU", "binary_io_u", metrics::make_binary_iou},
    {"MeanIoU", "mean_io_u", metrics::make_mean_iou},
    {"OneHotIoU", "one_hot_io_u", metrics::make_one_hot_iou},
    {"OneHotMeanIoU", "one_hot_mean_io_u", metrics::make_one_hot_mean_iou},
};

// Keras knows a class by its name in snake case too: "f_beta_score", "log_cosh_error".
const MetricRow* find_row(std::string_view wanted, bool is_function) {
  for (const MetricRow& row : kMetrics) {
    if (is_function && !row.is_function) continue;
    if (wanted == row.class_name || wanted == row.name || wanted == to_snake_case(row.class_name)) {
      return &row;
    }
  }
  return nullptr;
}

// keras/src/trainers/compile_utils.py, is_binary_or_sparse_categorical.
std::string_view accuracy_for(const PartialShape& y_true, const PartialShape& y_pred) {
  const auto last = [](const PartialShape& shape) {
    return shape.rank() > 0 ? shape[shape.rank() - 1] : -1;
  };
  if (last(y_pred) == 1) return "binary_accuracy";
  if (y_true.rank() < y_pred.rank() || (last(y_true) == 1 && last(y_pred) > 1)) {
    return "sparse_categorical_accuracy";
  }
  return "categorical_accuracy";
}

// The options that are the class's own.
Json own_options(const Json& config) {
  Json own = Json::object();
  for (const auto& [name, value] : config.members() ? *config.members() : Json::Object()) {
    if (name != "dtype" && name != "name") own.append(name, value);
  }
  return own;
}

// A function of Keras with its arguments, as MeanMetricWrapper's config holds it: as the metric
// that it is.
StatusOr<Json> wrapped_function(const Json& config) {
  TENON_ASSIGN_OR_RETURN(const ObjectConfig function,
                         object_config(ObjectKind::kMetric, config["fn"]));
  if (function.config) {
    return unimplemented("metric MeanMetricWrapper of an object of class '", function.name,
                         "' is not implemented; functions of Keras are");
  }
  Json arguments = Json::object();
  for (const auto& [name, value] : *config.members()) {
    if (name != "fn") arguments.append(name, value);
  }
  return Json::object({{"class_name", function.name}, {"config", std::move(arguments)}});
}

// `is_object`: a loss that was made as an object, which is no function of targets and predictions.
StatusOr<MetricPtr> loss_metric(const std::string& wanted, bool by_name, const Json& config,
                                bool is_object) {
  const Json as_loss =
      by_name ? Json(wanted)
              : Json::object({{"class_name", wanted}, {"config", own_options(config)}});
  StatusOr<LossPtr> loss = loss_from_json(as_loss);
  if (absl::IsUnimplemented(loss.status()) && loss_from_json(Json(wanted)).ok()) {
    return loss.status();  // of an option
  }
  if (!loss.ok()) {
    std::vector<std::string_view> names;
    for (const MetricRow& row : kMetrics) names.push_back(row.name);
    return unimplemented("metric '", wanted, "' is not implemented; there are ", join(names, ", "),
                         " and the losses");
  }
  std::string name = by_name ? wanted : config.text("name", (*loss)->name());
  MetricPtr metric =
      is_object ? metrics::mean_of_batches(*std::move(loss)) : metrics::mean_of(*std::move(loss));
  metric->rename(std::move(name));
  return metric;
}

}  // namespace

StatusOr<MetricPtr> metric_from_json(const Json& json, const PartialShape& y_true,
                                     const PartialShape& y_pred) {
  TENON_ASSIGN_OR_RETURN(const ObjectConfig object, object_config(ObjectKind::kMetric, json));
  const std::string& wanted = object.name;
  // Only as a plain name: a function or class called so is another.
  const std::string lower = json.string() ? to_lower(wanted) : "";
  const std::string_view resolved =
      lower == "accuracy" || lower == "acc" ? accuracy_for(y_true, y_pred) : wanted;
  const bool by_name = !json["class_name"].string() || !object.config;
  const Json config = object.config ? *object.config : Json();
  if (wanted == "MeanMetricWrapper" && config.is_object()) {
    TENON_ASSIGN_OR_RETURN(const Json function, wrapped_function(config));
    return metric_from_json(function, y_true, y_pred);
  }
  if (wanted == "Mean" || wanted == "Sum") {
    return invalid_argument("metric '", wanted,
                            "' is of values alone; compile() takes metrics of targets and "
                            "predictions, as in Keras");
  }
  // Of keras.losses there are classes of the same names: CosineSimilarity is minus the metric.
  const bool is_loss = !by_name && json.text("module").find("losses") != std::string::npos;
  const MetricRow* row =
      is_loss ? nullptr : find_row(resolved, json["class_name"] == Json("function"));
  if (!row) return loss_metric(wanted, by_name, config, is_loss);
  MetricPtr metric = row->make();
  metric->rename(by_name ? wanted : config.text("name", row->name));
  metric->dtype_ = config["dtype"];
  TENON_RETURN_IF_ERROR(read_config(*metric, own_options(config), cat("metric ", row->class_name)));
  TENON_RETURN_IF_ERROR(metric->check());
  return metric;
}

}  // namespace tenon::keras
