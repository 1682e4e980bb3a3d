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
    {"SGD", [] { return SGD(); }},
    {"Adam", [] { return Adam(); }},
    {"AdamW", [] { return AdamW(); }},
    {"RMSprop", [] { return RMSprop(); }},
};

// A learning rate is a number, or a schedule of Keras'.
Status check_rate(const ObjectConfig& object) {
  const Json* rate = object.config ? object.config->find("learning_rate") : nullptr;
  if (!rate || rate->number()) return absl::OkStatus();
  if (!rate->is_object()) {
    return invalid_argument("optimizer ", object.name, ": 'learning_rate' is ", rate->dump(),
                            ", expected a number or a schedule");
  }
  return object_config(ObjectKind::kSchedule, *rate).status();
}

}  // namespace

StatusOr<OptimizerPtr> optimizer_from_json(const Json& json) {
  TENON_ASSIGN_OR_RETURN(const ObjectConfig object, object_config(ObjectKind::kOptimizer, json));
  const std::string& wanted = object.name;
  for (const OptimizerRow& row : kOptimizers) {
    if (to_lower(wanted) != to_lower(row.class_name)) continue;
    OptimizerPtr optimizer = row.make();
    TENON_RETURN_IF_ERROR(check_rate(object));
    if (object.config) {
      TENON_RETURN_IF_ERROR(
          read_config(*optimizer, *object.config, cat("optimizer ", row.class_name)));
    }
    return optimizer;
  }
  std::vector<std::string_view> names;
  for (const OptimizerRow& row : kOptimizers) names.push_back(row.class_name);
  return unimplemented("optimizer '", wanted, "' is not implemented; there are ",
                       join(names, ", "));
}

}  // namespace tenon::keras
