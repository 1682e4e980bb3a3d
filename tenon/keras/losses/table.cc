#include "tenon/keras/losses/builtin.h"
#include "tenon/keras/object_config.h"

namespace tenon::keras {

namespace {

struct LossRow {
  std::string_view class_name;
  std::string_view name;
  std::string_view alias;
  LossPtr (*make)();
};

// Every loss there is. Adding one is a file and a row.
const LossRow kLosses[] = {
    {"SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", "",
     [] { return SparseCategoricalCrossentropy(); }},
    {"CategoricalCrossentropy", "categorical_crossentropy", "",
     [] { return CategoricalCrossentropy(); }},
    {"BinaryCrossentropy", "binary_crossentropy", "bce", [] { return BinaryCrossentropy(); }},
    {"MeanSquaredError", "mean_squared_error", "mse", [] { return MeanSquaredError(); }},
    {"MeanAbsoluteError", "mean_absolute_error", "mae", [] { return MeanAbsoluteError(); }},
    {"MeanAbsolutePercentageError", "mean_absolute_percentage_error", "mape",
     [] { return MeanAbsolutePercentageError(); }},
    {"MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", "msle",
     [] { return MeanSquaredLogarithmicError(); }},
    {"Huber", "huber", "", [] { return Huber(); }},
    {"LogCosh", "log_cosh", "", [] { return LogCosh(); }},
    {"Poisson", "poisson", "", [] { return Poisson(); }},
    {"CosineSimilarity", "cosine_similarity", "", [] { return CosineSimilarity(); }},
    {"KLDivergence", "kl_divergence", "kld", [] { return KLDivergence(); }},
    {"Hinge", "hinge", "", [] { return Hinge(); }},
    {"SquaredHinge", "squared_hinge", "", [] { return SquaredHinge(); }},
    {"CategoricalHinge", "categorical_hinge", "", [] { return CategoricalHinge(); }},
    {"BinaryFocalCrossentropy", "binary_focal_crossentropy", "", losses::make_binary_focal},
    {"CategoricalFocalCrossentropy", "categorical_focal_crossentropy", "",
     losses::make_categorical_focal},
    {"Tversky", "tversky", "", losses::make_tversky},
    {"Dice", "dice", "", losses::make_dice},
    {"CTC", "ctc", "", losses::make_ctc},
    {"Circle", "circle", "", losses::make_circle},
    {"CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy", "",
     losses::make_generalized_crossentropy},
};

}  // namespace

StatusOr<LossPtr> loss_from_json(const Json& json) {
  TENON_ASSIGN_OR_RETURN(const ObjectConfig object, object_config(ObjectKind::kLoss, json));
  const std::string& wanted = object.name;
  for (const LossRow& row : kLosses) {
    if (wanted != row.class_name && wanted != row.name &&
        (row.alias.empty() || to_lower(wanted) != row.alias)) {
      continue;
    }
    LossPtr loss = row.make();
    if (const auto* members = object.config ? object.config->members() : nullptr) {
      Json own = Json::object();
      for (const auto& [name, value] : *members) {
        if (name == "reduction" && value.string()) {
          loss->reduction_ = *value.string();
        } else if (name != "name") {
          own.append(name, value);
        }
      }
      TENON_RETURN_IF_ERROR(read_config(*loss, own, cat("loss ", row.class_name)));
    }
    return loss;
  }
  std::vector<std::string_view> names;
  for (const LossRow& row : kLosses) names.push_back(row.name);
  return unimplemented("loss '", wanted, "' is not implemented; there are ", join(names, ", "));
}

Json Loss::describe() const {
  Json config = Json::object({{"name", name()}, {"reduction", reduction_}});
  const Json own = write_config(*this);
  for (const auto& [name, value] : *own.members()) config.set(name, value);
  return Json::object({{"module", "keras.losses"},
                       {"class_name", class_name()},
                       {"config", std::move(config)},
                       {"registered_name", nullptr}});
}

Endpoint masked_weight(GraphBuilder& g, Endpoint sample_weight, Endpoint mask, bool of_all) {
  if (!mask || !g.status().ok()) return sample_weight;
  Endpoint kept = g.cast(mask, DType::kFloat);
  if (of_all) {
    std::vector<int64_t> axes;
    for (int axis = 0; axis < g.shape(kept).rank(); ++axis) axes.push_back(axis);
    const Endpoint total =
        g.cast(g.op("Size", {mask}, {{"out_type", DType::kInt32}}), DType::kFloat);
    kept = g.mul(kept, g.op("DivNoNan", {total, g.sum(kept, axes)}));
  }
  if (!sample_weight) return kept;
  Endpoint weight = g.cast(sample_weight, DType::kFloat);
  match_ranks(g, kept, weight);
  return g.mul(weight, kept);
}

Endpoint Loss::operator()(GraphBuilder& g, Endpoint y_true, Endpoint y_pred, Endpoint sample_weight,
                          Endpoint mask) const {
  const Value judged = values(g, y_true, y_pred);
  Endpoint each = judged.tensor;
  if (!g.status().ok()) return {};
  if (mask && judged.mask) {
    mask = g.op("LogicalAnd", {mask, judged.mask});
  } else if (judged.mask) {
    mask = judged.mask;
  }
  const bool mean = reduction_ == "sum_over_batch_size" || reduction_ == "mean" ||
                    reduction_ == "mean_with_sample_weight";
  Endpoint weight =
      masked_weight(g, sample_weight, mask, mean && reduction_ != "mean_with_sample_weight");
  if (weight) {
    weight = g.cast(weight, g.dtype(each));
    match_ranks(g, each, weight);
    each = g.mul(each, weight);
  }
  if (!g.status().ok()) return {};
  const Endpoint sum = losses::sum_all(g, each);
  if (reduction_ == "sum") return sum;
  if (mean) {
    const bool by_weight = weight && reduction_ == "mean_with_sample_weight";
    const Endpoint count = by_weight ? losses::sum_all(g, weight)
                                     : g.op("Size", {each}, {{"out_type", DType::kInt32}});
    return g.op("DivNoNan", {sum, g.cast(count, g.dtype(sum))});
  }
  g.fail(unimplemented("loss reduction '", reduction_,
                       "' is not implemented; there are sum_over_batch_size, mean, "
                       "mean_with_sample_weight, sum"));
  return {};
}

void match_ranks(GraphBuilder& g, Endpoint& a, Endpoint& b) {
  if (!g.status().ok()) return;
  const auto last_is_one = [&](Endpoint e) {
    const PartialShape& shape = g.shape(e);
    return shape.rank() > 0 && shape[shape.rank() - 1] == 1;
  };
  const auto fit = [&](Endpoint& longer, Endpoint& shorter) {
    if (!last_is_one(longer)) return;
    if (g.shape(shorter).rank() == 1) {
      shorter = g.op("ExpandDims", {shorter, g.scalar<int32_t>(-1)});
    } else {
      longer = g.op("Squeeze", {longer}, {{"squeeze_dims", std::vector<int64_t>{-1}}});
    }
  };
  const int difference = g.shape(a).rank() - g.shape(b).rank();
  if (difference == 1) fit(a, b);
  if (difference == -1) fit(b, a);
}

Endpoint logits_of(GraphBuilder& g, Endpoint y_pred, std::string_view op) {
  if (!y_pred) return {};
  const Node& maker = g.graph().node(y_pred.node);
  return maker.is(op) ? maker.inputs[0] : Endpoint{};
}

Status check_classes(const Tensor& y, int64_t classes, int64_t first_row,
                     std::optional<int64_t> ignored) {
  if (y.rank() == 0 || y.dim(0) == 0) return absl::OkStatus();
  const int64_t each = y.num_elements() / y.dim(0);
  Status status;
  visit<RealTypes>(y.dtype(), [&]<class T>() {
    const std::span<const T> values = y.span<T>();
    for (size_t i = 0; i < values.size() && status.ok(); ++i) {
      const auto value = static_cast<double>(values[i]);
      if (value >= 0 && value < static_cast<double>(classes)) continue;
      if (ignored && value == static_cast<double>(*ignored)) continue;
      status = invalid_argument(
          "label ", value, " in row ", first_row + static_cast<int64_t>(i) / each + 1,
          " is no class: the model has ", classes, " classes, 0 to ", classes - 1);
    }
  });
  return status;
}

}  // namespace tenon::keras
