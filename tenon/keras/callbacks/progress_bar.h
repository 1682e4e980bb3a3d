// ProgressBar: Keras' Progbar, byte for byte (keras/src/utils/progbar.py; formats.md 11.6).
#pragma once

#include <functional>

#include "tenon/keras/model.h"

namespace tenon::keras {

class ProgressBar {
 public:
  using Output = std::function<void(std::string_view)>;
  // Seconds since any fixed moment.
  using Clock = std::function<double()>;

  // `target` steps; -1 when their number is not known. `verbose` 1: a bar, rewritten in place; 2:
  // one line at the end; 0: nothing. Without `dynamic` (no terminal) every update is a line.
  ProgressBar(int64_t target, int verbose, Output output, Clock clock, bool dynamic = true);

  // Step `current` is done and `values` are to be shown. Updates sooner than 0.05 s after the last
  // one are left out, and allocate nothing.
  void update(int64_t current, const Logs& values, bool finalize);

  // Would update() show anything now?
  bool is_due() const;

  // The last update. A number of steps that was not known before is `steps`.
  void finish(int64_t steps, const Logs& values);

 private:
  double seconds_per_step(int64_t current, double now);
  std::string bar(int64_t current, const Logs& values, bool finalize, double now, double per_step);
  std::string line(int64_t current, const Logs& values, double now, double per_step) const;

  int64_t target_;
  const int verbose_;
  const bool dynamic_;
  Output output_;
  Clock clock_;
  double start_;
  double last_update_ = 0;
  bool shown_before_ = false;
  std::optional<double> after_first_step_;
  size_t width_before_ = 0;
};

// Seconds of a steady clock.
double steady_seconds();

// Writes to stdout at once, so that a bar moves.
void write_stdout(std::string_view text);

}  // namespace tenon::keras
