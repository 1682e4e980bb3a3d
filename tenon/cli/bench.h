// What the two forms of `tenon bench` share: timing, made-up values, the last line.
#pragma once

#include <chrono>

#include "tenon/base/function_ref.h"
#include "tenon/cli/model_source.h"
#include "tenon/core/tensor.h"
#include "tenon/runtime/step_profile.h"

namespace tenon::cli {

struct BenchTimes {
  double load_ms = 0, first_ms = 0;
  std::vector<double> step_ms;  // in the order of measurement
  double runs_per_second = 0;   // of several callers together; 0: there was one
};

// Where the time of so many runs went.
struct BenchProfile {
  int64_t runs = 0;
  std::vector<StepTime> steps;
};

// A tensor of made-up values: floats in [0, 1), integers in [0, int_limit), texts "text". Equal
// seeds give equal values.
StatusOr<Tensor> made_up(DType dtype, const Shape& shape, int64_t int_limit, uint64_t seed);

// Calls `step` once, then again and again for `seconds` (three times at least).
Status measure_steps(double seconds, FunctionRef<Status()> step, BenchTimes& times);

// As measure_steps, from `callers` threads at once: each calls `step(caller)`.
Status measure_callers(double seconds, int64_t callers, FunctionRef<Status(int64_t)> step,
                       BenchTimes& times);

// Calls `step` for `seconds`, once at least, with each step of the runs timed.
Status profile_steps(double seconds, FunctionRef<Status()> step, BenchProfile& profile);

// The ops by their share of all steps' time, then the costliest nodes.
std::string profile_table(const BenchProfile& profile);
// [{"op":…,"node":…,"shapes":…,"ms":…,"runs":…,"threads":…}, ...], ms and runs of the step in one
// run.
std::string profile_json(const BenchProfile& profile);

double milliseconds_since(std::chrono::steady_clock::time_point start);

// What is printed. The table of the profile, where there is one and `json` is false; then
// {"median_ms":…,"best_ms":…,"p99_ms":…,"load_ms":…,"first_ms":…,"peak_rss_mb":…}, of several
// callers with "runs_per_second":…, and with the profile's JSON as "steps":… if `json`.
std::string bench_report(BenchTimes times, const BenchProfile& profile, bool json);

struct TrainBenchFlags {
  std::string model, optimizer, loss;
  StrategyFlags strategy;
  bool from_logits = false, profile = false, json = false;
  int64_t batch = 32, int_limit = 100;
  double seconds = 3;
};

// Times the training step of a Keras model.
Status bench_training(const TrainBenchFlags& flags);

}  // namespace tenon::cli
