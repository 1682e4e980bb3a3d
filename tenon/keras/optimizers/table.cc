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

}  // namespace

StatusOr<OptimizerPtr> optimizer_from_json(const Json& json) {
  const std::string wanted = json.string() ? *json.string() : json.text("class_name");
  for (const OptimizerRow& row : kOptimizers) {
    if (to_lower(wanted) != to_lower(row.class_name)) continue;
    OptimizerPtr optimizer = row.make();
    if (json["config"].is_object()) {
      TENON_RETURN_IF_ERROR(
          read_config(*optimizer, json["config"], cat("optimizer ", row.class_name)));
    }
    return optimizer;
  }
  std::vector<std::string_view> names;
  for (const OptimizerRow& row : kOptimizers) names.push_back(row.class_name);
  return unimplemented("optimizer '", wanted, "' is not implemented; there are ",
                       join(names, ", "));
}

}  // namespace tenon::keras
