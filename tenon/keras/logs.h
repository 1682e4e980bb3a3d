// Logs: what losses and metrics have come to, by name.
#pragma once

#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::keras {

// A number; or several, one for each class or threshold (F1Score without an average).
class LogValue {
 public:
  LogValue(double number = 0) : number_(number) {}  // NOLINT: implicit
  explicit LogValue(std::vector<double> parts) : parts_(std::move(parts)) {
    const double total = std::accumulate(parts_.begin(), parts_.end(), 0.0);
    number_ = parts_.empty() ? 0 : total / static_cast<double>(parts_.size());
  }
  // Of several their mean, which Keras' progress bar shows.
  operator double() const { return number_; }  // NOLINT: implicit
  // Null where there are several.
  const double* number() const { return parts_.empty() ? &number_ : nullptr; }
  // None where there is one.
  std::span<const double> parts() const { return parts_; }

 private:
  double number_;
  std::vector<double> parts_;
};

// Sorted by name as Keras sorts them ("accuracy", "loss", "val_accuracy").
using Logs = std::vector<std::pair<std::string, LogValue>>;

// Null when there is none of that name.
const LogValue* find_value(const Logs& logs, std::string_view name);
// Null too when it is not one number.
const double* find_log(const Logs& logs, std::string_view name);

}  // namespace tenon::keras
