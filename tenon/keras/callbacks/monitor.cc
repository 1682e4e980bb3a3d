#include "tenon/keras/callbacks/monitor.h"

#include "tenon/base/log.h"

namespace tenon::keras::callbacks {

StatusOr<Monitor> Monitor::create(const MonitorOptions& watch, double min_delta) {
  min_delta = min_delta < 0 ? -min_delta : min_delta;
  if (watch.mode == "min") return Monitor(watch.monitor, false, min_delta);
  if (watch.mode == "max") return Monitor(watch.monitor, true, min_delta);
  if (watch.mode == "auto") return Monitor(watch.monitor, std::nullopt, min_delta);
  return invalid_argument("mode is '", watch.mode, "', expected 'auto', 'min' or 'max'");
}

Status Monitor::settle(const Model& model, std::string_view callback) {
  if (higher_) return absl::OkStatus();
  std::string_view name = monitor_;
  if (name.starts_with("val_")) name.remove_prefix(4);
  auto direction = model.direction_of(name);
  if (name == "loss") direction = Metric::Direction::kDown;
  if (!direction || *direction == Metric::Direction::kUnknown) {
    return invalid_argument(callback, " watches '", monitor_,
                            "', of which the model does not say which way is better; "
                            "mode=max or mode=min does");
  }
  higher_ = *direction == Metric::Direction::kUp;
  return absl::OkStatus();
}

const double* watched(const Logs& logs, const MonitorOptions& watch, std::string_view callback) {
  const LogValue* value = find_value(logs, watch.monitor);
  if (value && value->number()) return value->number();
  std::vector<std::string_view> names;
  for (const auto& [name, number] : logs) names.push_back(name);
  if (value) {
    log_warning(callback, " watches '", watch.monitor, "', which is several numbers, not one");
  } else {
    log_warning(callback, " watches '", watch.monitor, "', which is not there; there are ",
                join(names, ", "));
  }
  return nullptr;
}

StatusOr<std::vector<Tensor>> copy_weights(const Model& model) {
  std::vector<Tensor> values;
  for (const Weight* weight : model.weights()) {
    TENON_ASSIGN_OR_RETURN(const Tensor value, weight->variable->read());
    values.push_back(value.clone());
  }
  return values;
}

Status restore_weights(const Model& model, const std::vector<Tensor>& values) {
  size_t at = 0;
  for (const Weight* weight : model.weights()) {
    TENON_RETURN_IF_ERROR(weight->variable->assign(values[at++].clone()));
  }
  return absl::OkStatus();
}

Status check_weights(const Model& model, const std::vector<Tensor>& values) {
  const std::vector<Weight*> weights = model.weights();
  bool fits = weights.size() == values.size();
  for (size_t i = 0; fits && i < values.size(); ++i) {
    fits = values[i].dtype() == weights[i]->dtype && values[i].shape() == weights[i]->shape;
  }
  if (fits) return absl::OkStatus();
  return invalid_argument("the weights that a callback kept are of another model");
}

Json best_to_json(std::optional<double> best) {
  return Json::object({{"best", best ? Json(*best) : Json()}});
}

Status best_from_json(const Json& values, std::optional<double>& best) {
  const Json& json = values["best"];
  best = json.number();
  if (best || json.is_null()) return absl::OkStatus();
  return invalid_argument("'best' of a callback is no number: ", json.dump().substr(0, 40));
}

Status read_count(const Json& values, std::string_view name, int64_t& count) {
  const int64_t* found = values[name].integer();
  if (!found || *found < 0) {
    return invalid_argument("'", name,
                            "' of a callback is no count: ", values[name].dump().substr(0, 40));
  }
  count = *found;
  return absl::OkStatus();
}

}  // namespace tenon::keras::callbacks
