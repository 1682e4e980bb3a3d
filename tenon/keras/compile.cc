#include "tenon/keras/compile.h"

namespace tenon::keras {

namespace {

// A serialised object, not an object of entries by name.
bool is_serialised(const Json& json) { return json.find("class_name") != nullptr; }

// What a list or an object says of each output; null for those that are not named. `json` alone
// stands for all outputs where it is neither.
StatusOr<std::vector<Json>> entries_of_outputs(const Json& json,
                                               std::span<const std::string> outputs,
                                               std::string_view what) {
  if (const auto* items = json.items()) {
    if (items->size() == outputs.size()) return *items;
    return invalid_argument(what, " is a list of ", items->size(), ", the model has ",
                            outputs.size(), " outputs: ", join(outputs, ", "));
  }
  if (!json.members() || is_serialised(json)) return std::vector<Json>(outputs.size(), json);
  std::vector<Json> entries(outputs.size());
  for (const auto& [name, value] : *json.members()) {
    const auto it = std::find(outputs.begin(), outputs.end(), name);
    if (it == outputs.end()) {
      return invalid_argument(what, " names an output '", name, "'; there are ",
                              join(outputs, ", "));
    }
    entries[static_cast<size_t>(it - outputs.begin())] = value;
  }
  return entries;
}

void flatten(const Json& json, std::vector<Json>& out) {
  if (json.items()) {
    for (const Json& item : *json.items()) flatten(item, out);
  } else if (json.members() && !is_serialised(json)) {
    for (const auto& [name, value] : *json.members()) flatten(value, out);
  } else if (!json.is_null()) {
    out.push_back(json);
  }
}

}  // namespace

StatusOr<std::vector<OutputLoss>> losses_from_json(const Json& json,
                                                   std::span<const std::string> outputs) {
  if (json.is_null()) return invalid_argument("compile() needs a loss");
  TENON_ASSIGN_OR_RETURN(const std::vector<Json> entries,
                         entries_of_outputs(json, outputs, "the loss"));
  std::vector<OutputLoss> losses(outputs.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].is_null()) continue;
    TENON_ASSIGN_OR_RETURN(losses[i].loss, loss_from_json(entries[i]));
  }
  return losses;
}

Status set_loss_weights(const Json& json, std::span<const std::string> outputs,
                        std::vector<OutputLoss>& losses) {
  if (json.is_null()) return absl::OkStatus();
  if (json.number() && outputs.size() > 1) {
    return invalid_argument("loss_weights is one number, the model has ", outputs.size(),
                            " outputs: ", join(outputs, ", "));
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<Json> entries,
                         entries_of_outputs(json, outputs, "loss_weights"));
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].is_null()) continue;
    if (!entries[i].number()) {
      return invalid_argument("the loss weight of output '", outputs[i], "' is ", entries[i].dump(),
                              ", expected a number");
    }
    losses[i].weight = *entries[i].number();
  }
  return absl::OkStatus();
}

StatusOr<std::vector<std::vector<Json>>> metrics_of_outputs(const std::vector<Json>& metrics,
                                                            std::span<const std::string> outputs) {
  std::vector<std::vector<Json>> by_output(outputs.size());
  if (metrics.empty()) return by_output;
  if (outputs.size() == 1) {
    flatten(Json(Json::Array(metrics)), by_output[0]);
    return by_output;
  }
  const bool by_name = metrics.size() == 1 && metrics[0].members() && !is_serialised(metrics[0]);
  TENON_ASSIGN_OR_RETURN(
      const std::vector<Json> entries,
      entries_of_outputs(by_name ? metrics[0] : Json(Json::Array(metrics)), outputs, "metrics"));
  for (size_t i = 0; i < entries.size(); ++i) flatten(entries[i], by_output[i]);
  return by_output;
}

}  // namespace tenon::keras
