// What the two forms of `tenon bench` share: timing, made-up values, the last line.
#pragma once

#include <chrono>

#include "tenon/base/function_ref.h"
#include "tenon/core/tensor.h"

namespace tenon::cli {

struct BenchTimes {
  double load_ms = 0, first_ms = 0;
  std::vector<double> step_ms;  // in the order of measurement
  double runs_per_second = 0;   // of several callers together; 0: there was one
};

// A tensor of made-up values: floats in [0, 1), integers in [0, int_limit), texts "text". Equal
// seeds give equal values.
StatusOr<Tensor> made_up(DType dtype, const Shape& shape, int64_t int_limit, uint64_t seed);

// Calls `step` once, then again and again for `seconds` (three times at least).
Status measure_steps(double seconds, FunctionRef<Status()> step, BenchTimes& times);

// As measure_steps, from `callers` threads at once: each calls `step(caller)`.
Status measure_callers(double seconds, int64_t callers, FunctionRef<Status(int64_t)> step,
                       BenchTimes& times);

double milliseconds_since(std::chrono::steady_clock::time_point start);

// {"median_ms":…,"best_ms":…,"p99_ms":…,"load_ms":…,"first_ms":…,"peak_rss_mb":…}, of several
// callers with "runs_per_second":… at the end.
std::string bench_line(BenchTimes times);

struct TrainBenchFlags {
  std::string model, optimizer, loss;
  bool from_logits = false;
  int64_t batch = 32, int_limit = 100;
  double seconds = 3;
};

// Times the training step of a Keras model.
Status bench_training(const TrainBenchFlags& flags);

}  // namespace tenon::cli
