// What the callbacks that watch a value share. Internal to callbacks/.
#pragma once

#include "tenon/keras/callbacks.h"

namespace tenon::keras::callbacks {

// Is a value of `watch` better than another?
class Monitor {
 public:
  // INVALID_ARGUMENT for an unknown mode.
  static StatusOr<Monitor> create(const MonitorOptions& watch, double min_delta = 0);
  // What mode auto means, the metrics of the model say, which has run a step. INVALID_ARGUMENT
  // where they do not, as in Keras. Before improves().
  Status settle(const Model& model, std::string_view callback);
  // Better by more than min_delta; anything is better than nothing.
  bool improves(double value, std::optional<double> reference) const {
    if (!reference) return true;
    return *higher_ ? value - min_delta_ > *reference : value + min_delta_ < *reference;
  }

 private:
  Monitor(std::string monitor, std::optional<bool> higher, double min_delta)
      : monitor_(std::move(monitor)), higher_(higher), min_delta_(min_delta) {}
  std::string monitor_;
  std::optional<bool> higher_;
  double min_delta_;
};

// Null, with a warning in the log, when there is no such value.
const double* watched(const Logs& logs, const MonitorOptions& watch, std::string_view callback);

// The values of all weights, copied; and back.
StatusOr<std::vector<Tensor>> copy_weights(const Model& model);
Status restore_weights(const Model& model, const std::vector<Tensor>& values);

// Do these values have the dtypes and shapes of the weights? INVALID_ARGUMENT when not.
Status check_weights(const Model& model, const std::vector<Tensor>& values);

// For CallbackState: {"best": number or null}, and a count that is not negative.
Json best_to_json(std::optional<double> best);
Status best_from_json(const Json& values, std::optional<double>& best);
Status read_count(const Json& values, std::string_view name, int64_t& count);

}  // namespace tenon::keras::callbacks
