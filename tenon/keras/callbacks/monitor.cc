#include "tenon/keras/callbacks/monitor.h"

#include "tenon/base/log.h"

namespace tenon::keras::callbacks {

StatusOr<Monitor> Monitor::create(const MonitorOptions& watch, double min_delta) {
  min_delta = min_delta < 0 ? -min_delta : min_delta;
  if (watch.mode == "min") return Monitor(false, min_delta);
  if (watch.mode == "max") return Monitor(true, min_delta);
  if (watch.mode != "auto") {
    return invalid_argument("mode is '", watch.mode, "', expected 'auto', 'min' or 'max'");
  }
  std::string_view name = watch.monitor;
  if (name.starts_with("val_")) name.remove_prefix(4);
  const bool accuracy = name == "acc" || name.find("accuracy") != std::string_view::npos;
  return Monitor(accuracy, min_delta);
}

const double* watched(const Logs& logs, const MonitorOptions& watch, std::string_view callback) {
  const double* value = find_log(logs, watch.monitor);
  if (!value) {
    std::vector<std::string_view> names;
    for (const auto& [name, number] : logs) names.push_back(name);
    log_warning(callback, " watches '", watch.monitor, "', which is not there; there are ",
                join(names, ", "));
  }
  return value;
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

}  // namespace tenon::keras::callbacks
