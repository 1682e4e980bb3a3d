#include "tenon/keras/metrics/builtin.h"
#include "tenon/keras/object_config.h"

namespace tenon::keras {

namespace {

struct MetricRow {
  std::string_view class_name;
  std::string_view name;
  Endpoint (*values)(GraphBuilder&, Endpoint y_true, Endpoint y_pred, const Json& config);
};

// Every metric that is no loss. Adding one is a file and a row.
constexpr MetricRow kMetrics[] = {
    {"SparseCategoricalAccuracy", "sparse_categorical_accuracy",
     metrics::sparse_categorical_accuracy},
    {"CategoricalAccuracy", "categorical_accuracy", metrics::categorical_accuracy},
    {"BinaryAccuracy", "binary_accuracy", metrics::binary_accuracy},
    {"SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy",
     metrics::sparse_top_k_accuracy},
    {"TopKCategoricalAccuracy", "top_k_categorical_accuracy", metrics::top_k_accuracy},
    {"Accuracy", "accuracy", metrics::accuracy},
    {"CosineSimilarity", "cosine_similarity", metrics::cosine_similarity},
    {"LogCoshError", "logcosh", metrics::log_cosh},
};

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
  for (const MetricRow& row : kMetrics) {
    // A function called accuracy is a user's: Keras has none.
    const bool named = resolved == row.name && resolved != "accuracy";
    if (resolved != row.class_name && !named) continue;
    std::string name = by_name ? wanted : config.text("name", row.name);
    return std::make_shared<Metric>(std::move(name), json,
                                    [&row, config](GraphBuilder& g, Endpoint y, Endpoint p) {
                                      return row.values(g, y, p, config);
                                    });
  }
  Json as_loss = Json(wanted);
  if (!by_name) {
    Json own = Json::object();
    for (const auto& [name, value] : config.members() ? *config.members() : Json::Object()) {
      if (name != "dtype") own.append(name, value);
    }
    as_loss = Json::object({{"class_name", wanted}, {"config", std::move(own)}});
  }
  StatusOr<LossPtr> loss = loss_from_json(as_loss);
  if (!loss.ok()) {
    std::vector<std::string_view> names = {"accuracy"};
    for (const MetricRow& row : kMetrics) names.push_back(row.name);
    return unimplemented("metric '", wanted, "' is not implemented; there are ", join(names, ", "),
                         " and the losses");
  }
  std::string name = by_name ? wanted : config.text("name", (*loss)->name());
  return std::make_shared<Metric>(
      std::move(name), json,
      [loss = *loss](GraphBuilder& g, Endpoint y, Endpoint p) { return loss->values(g, y, p); });
}

Metric::Metric(std::string name, Json config, Values values)
    : config_(std::move(config)), values_(std::move(values)) {
  rename(std::move(name));
}

void Metric::rename(std::string name) {
  name_ = std::move(name);
  for (size_t i = 0; i < state_.size(); ++i) {
    state_[i].name = i == 0 ? "total" : "count";
    state_[i].path = cat("metrics/", name_, "/", state_[i].name);
    state_[i].kind = WeightKind::kNonTrainable;
  }
}

void Metric::update(Trace& trace, Endpoint y_true, Endpoint y_pred, Endpoint sample_weight) const {
  GraphBuilder& g = trace.build();
  Endpoint values = g.cast(values_(g, y_true, y_pred), DType::kFloat);
  if (!g.status().ok()) return;
  // Means over the axes from `first` on: positions of one sample, so that each sample counts once.
  const auto mean_from = [&](Endpoint x, int first) {
    std::vector<int64_t> axes;
    for (int axis = first; axis < g.shape(x).rank(); ++axis) axes.push_back(axis);
    return axes.empty() ? x : g.mean(x, axes);
  };
  Endpoint weight = sample_weight;
  if (weight) {
    weight = g.cast(weight, DType::kFloat);
    match_ranks(g, values, weight);
    if (!g.status().ok()) return;
    if (g.shape(weight).rank() > 1) {
      values = mean_from(values, g.shape(weight).rank());
      weight = g.op("BroadcastTo", {weight, g.shape_of(values)});
      values = mean_from(g.mul(values, weight), 1);
      weight = mean_from(weight, 1);
      return update_weighted(trace, values, weight);
    }
  }
  update_mean(trace, mean_from(values, 1), weight);
}

void Metric::update_mean(Trace& trace, Endpoint values, Endpoint weight) const {
  GraphBuilder& g = trace.build();
  if (!g.status().ok()) return;
  if (weight) {
    weight = g.cast(weight, DType::kFloat);
    return update_weighted(trace, g.mul(values, weight), weight);
  }
  update_weighted(trace, values, g.op("OnesLike", {values}));
}

void Metric::update_weighted(Trace& trace, Endpoint weighted, Endpoint weight) const {
  GraphBuilder& g = trace.build();
  if (!g.status().ok()) return;
  const auto sum = [&](Endpoint x) {
    const int64_t rows[] = {0};
    const Endpoint total = g.shape(x).rank() == 0 ? x : g.sum(x, rows);
    if (!trace.replication()) return total;
    return g.op("SelectV2", {trace.replication()->present, total, g.zeros_like(total)});
  };
  trace.assign_add(state_[0], sum(weighted));
  trace.assign_add(state_[1], sum(weight));
}

Endpoint Metric::result(Trace& trace) const {
  return trace.build().op("DivNoNan", {trace.read(state_[0]), trace.read(state_[1])});
}

}  // namespace tenon::keras
