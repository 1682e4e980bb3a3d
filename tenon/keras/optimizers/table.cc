#include <cmath>

#include "tenon/keras/object_config.h"
#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

struct OptimizerRow {
  std::string_view class_name;
  OptimizerPtr (*make)();
};

// Every optimizer there is. Adding one is a file and a row.
const OptimizerRow kOptimizers[] = {
    {"SGD", [] { return SGD(); }},         {"Adam", [] { return Adam(); }},
    {"AdamW", [] { return AdamW(); }},     {"Adagrad", [] { return Adagrad(); }},
    {"RMSprop", [] { return RMSprop(); }}, {"Adadelta", [] { return Adadelta(); }},
    {"Adamax", [] { return Adamax(); }},   {"Ftrl", [] { return Ftrl(); }},
    {"Lamb", [] { return Lamb(); }},       {"Lion", [] { return Lion(); }},
    {"Nadam", [] { return Nadam(); }},     {"Adafactor", [] { return Adafactor(); }},
    {"Muon", [] { return Muon(); }},
};

// A learning rate is a number, or a schedule of Keras'.
Status check_rate(const ObjectConfig& object) {
  const Json* rate = object.config ? object.config->find("learning_rate") : nullptr;
  if (!rate) return absl::OkStatus();
  if (const auto number = rate->number()) {
    if (*number >= 0 && std::isfinite(*number)) return absl::OkStatus();
    return invalid_argument("optimizer ", object.name, ": 'learning_rate' is ", rate->dump(),
                            ", expected a number that is not negative");
  }
  if (!rate->is_object()) {
    return invalid_argument("optimizer ", object.name, ": 'learning_rate' is ", rate->dump(),
                            ", expected a number or a schedule");
  }
  TENON_RETURN_IF_ERROR(object_config(ObjectKind::kSchedule, *rate).status());
  return with_context(check_schedule(*rate), cat("optimizer ", object.name));
}

// The optimizer within a LossScaleOptimizer's config.
StatusOr<OptimizerPtr> scaled_optimizer(const ObjectConfig& object) {
  const Json* inner = object.config ? object.config->find("inner_optimizer") : nullptr;
  if (!inner) return invalid_argument("optimizer LossScaleOptimizer: 'inner_optimizer' is missing");
  // Keras does not wrap one twice; configs within configs without end are none of its own.
  const std::string inner_class = inner->is_object() ? inner->text("class_name") : "";
  if (to_lower(inner_class) == "lossscaleoptimizer") {
    return invalid_argument("optimizer LossScaleOptimizer: 'inner_optimizer' is another one");
  }
  LossScaleOptions options;
  if (const Json* scale = object.config->find("initial_scale")) {
    if (!scale->number() || !(*scale->number() > 0) || !std::isfinite(*scale->number())) {
      return invalid_argument("optimizer LossScaleOptimizer: 'initial_scale' is ", scale->dump(),
                              ", expected a number above 0");
    }
    options.initial_scale = *scale->number();
  }
  if (const Json* steps = object.config->find("dynamic_growth_steps")) {
    if (!steps->integer() || *steps->integer() < 1) {
      return invalid_argument("optimizer LossScaleOptimizer: 'dynamic_growth_steps' is ",
                              steps->dump(), ", expected 1 or more");
    }
    options.dynamic_growth_steps = *steps->integer();
  }
  TENON_ASSIGN_OR_RETURN(OptimizerPtr optimizer, optimizer_from_json(*inner));
  return LossScaleOptimizer(std::move(optimizer), options);
}

}  // namespace

StatusOr<OptimizerPtr> optimizer_from_json(const Json& json) {
  TENON_ASSIGN_OR_RETURN(const ObjectConfig object, object_config(ObjectKind::kOptimizer, json));
  const std::string& wanted = object.name;
  if (to_lower(wanted) == "lossscaleoptimizer") return scaled_optimizer(object);
  for (const OptimizerRow& row : kOptimizers) {
    if (to_lower(wanted) != to_lower(row.class_name)) continue;
    OptimizerPtr optimizer = row.make();
    TENON_RETURN_IF_ERROR(check_rate(object));
    if (object.config) {
      TENON_RETURN_IF_ERROR(
          read_config(*optimizer, *object.config, cat("optimizer ", row.class_name)));
      TENON_RETURN_IF_ERROR(optimizer->check());
    }
    return optimizer;
  }
  std::vector<std::string_view> names;
  for (const OptimizerRow& row : kOptimizers) names.push_back(row.class_name);
  return unimplemented("optimizer '", wanted, "' is not implemented; there are ",
                       join(names, ", "));
}

}  // namespace tenon::keras
