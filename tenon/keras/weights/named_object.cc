#include "tenon/keras/weights/named_object.h"

namespace tenon::keras {

const NamedObjectRow* find_named_object(std::span<const NamedObjectRow> rows,
                                        std::string_view name) {
  for (const NamedObjectRow& row : rows) {
    if (name == row.class_name || name == row.alias) return &row;
  }
  return nullptr;
}

Status check_named_object(std::string_view what, std::span<const NamedObjectRow> rows,
                          std::string_view class_name, const Json& config) {
  const NamedObjectRow* row = find_named_object(rows, class_name);
  if (!row) {
    std::vector<std::string_view> names;
    for (const NamedObjectRow& known : rows) names.push_back(known.class_name);
    return unimplemented(what, " '", class_name, "' is not known; there are ", join(names, ", "));
  }
  const Json defaults = row->defaults();
  for (const auto& [name, value] : *config.members()) {
    if (!defaults.find(name)) {
      return invalid_argument(what, " ", class_name, " has no parameter '", name, "'");
    }
  }
  return absl::OkStatus();
}

Json named_object_to_json(std::string_view package, std::string_view class_name,
                          const Json& config) {
  return Json::object({{"module", cat("keras.", package)},
                       {"class_name", class_name},
                       {"config", config},
                       {"registered_name", nullptr}});
}

}  // namespace tenon::keras
