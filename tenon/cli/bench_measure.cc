#include <cstdio>

#include "tenon/base/thread.h"
#include "tenon/cli/bench.h"
#include "tenon/kernels/cast.h"

namespace tenon::cli {
namespace {

constexpr size_t kLeastSteps = 3;

// The most memory that this program has had. getrusage() does not tell it: its figure survives
// exec(), so that a large parent's passes for ours.
double peak_rss_mb() {
  std::FILE* status = std::fopen("/proc/self/status", "re");
  if (!status) return 0;
  char line[256];
  double kilobytes = 0;
  while (std::fgets(line, sizeof(line), status)) {
    if (std::sscanf(line, "VmHWM: %lf kB", &kilobytes) == 1) break;
  }
  std::fclose(status);
  return kilobytes / 1024;
}

// splitmix64 (Steele, Lea, Flood, 2014).
uint64_t next_random(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

StatusOr<Tensor> made_up(DType dtype, const Shape& shape, int64_t int_limit, uint64_t seed) {
  const int64_t count = shape.num_elements();
  if (dtype == DType::kString) {
    return Tensor::strings(shape, std::vector<std::string>(static_cast<size_t>(count), "text"));
  }
  const bool whole = is_integer(dtype) || dtype == DType::kBool;
  const kernels::CastKernel cast = kernels::find_cast(DType::kDouble, dtype);
  if (!cast) return unimplemented("values of ", dtype, " cannot be made up");
  TENON_ASSIGN_OR_RETURN(Tensor values, Tensor::allocate(DType::kDouble, shape));
  for (int64_t i = 0; i < count; ++i) {
    const double unit = static_cast<double>(next_random(seed) >> 11) * 0x1p-53;
    const double limit = dtype == DType::kBool ? 2.0 : static_cast<double>(int_limit);
    values.mutable_data<double>()[i] = whole ? std::floor(unit * limit) : unit;
  }
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, shape));
  cast(values.raw(), tensor.mutable_raw(), count);
  return tensor;
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

Status measure_steps(double seconds, FunctionRef<Status()> step, BenchTimes& times) {
  const auto first = std::chrono::steady_clock::now();
  TENON_RETURN_IF_ERROR(step());
  times.first_ms = milliseconds_since(first);
  const auto begin = std::chrono::steady_clock::now();
  while (times.step_ms.size() < kLeastSteps || milliseconds_since(begin) < seconds * 1e3) {
    const auto start = std::chrono::steady_clock::now();
    TENON_RETURN_IF_ERROR(step());
    times.step_ms.push_back(milliseconds_since(start));
  }
  return absl::OkStatus();
}

Status measure_callers(double seconds, int64_t callers, FunctionRef<Status(int64_t)> step,
                       BenchTimes& times) {
  const auto first = std::chrono::steady_clock::now();
  TENON_RETURN_IF_ERROR(step(0));
  times.first_ms = milliseconds_since(first);
  std::vector<BenchTimes> each(static_cast<size_t>(callers));
  std::vector<Status> statuses(each.size());
  std::vector<std::thread> threads;
  const auto begin = std::chrono::steady_clock::now();
  for (int64_t caller = 0; caller < callers; ++caller) {
    const auto i = static_cast<size_t>(caller);
    StatusOr<std::thread> thread = start_thread([&, caller, i] {
      statuses[i] = measure_steps(
          seconds, [&] { return step(caller); }, each[i]);
    });
    if (thread.ok()) {
      threads.push_back(*std::move(thread));
    } else {
      statuses[i] = thread.status();
    }
  }
  for (std::thread& thread : threads) thread.join();
  const double elapsed = milliseconds_since(begin) / 1e3;
  for (size_t i = 0; i < each.size(); ++i) {
    TENON_RETURN_IF_ERROR(statuses[i]);
    times.step_ms.insert(times.step_ms.end(), each[i].step_ms.begin(), each[i].step_ms.end());
  }
  times.runs_per_second = static_cast<double>(times.step_ms.size()) / elapsed;
  return absl::OkStatus();
}

std::string bench_report(BenchTimes times, const BenchProfile& profile, bool json) {
  std::vector<double>& sorted = times.step_ms;
  std::sort(sorted.begin(), sorted.end());
  const size_t p99 = std::min(sorted.size() - 1, sorted.size() * 99 / 100);
  char line[256];
  std::snprintf(line, sizeof(line),
                "{\"median_ms\":%.6g,\"best_ms\":%.6g,\"p99_ms\":%.6g,\"load_ms\":%.6g,"
                "\"first_ms\":%.6g,\"peak_rss_mb\":%.6g",
                sorted[sorted.size() / 2], sorted[0], sorted[p99], times.load_ms, times.first_ms,
                peak_rss_mb());
  std::string text = line;
  if (times.runs_per_second > 0) {
    std::snprintf(line, sizeof(line), ",\"runs_per_second\":%.6g", times.runs_per_second);
    text += line;
  }
  if (profile.runs == 0) return text + "}\n";
  if (json) return cat(text, ",\"steps\":", profile_json(profile), "}\n");
  return cat(profile_table(profile), text, "}\n");
}

}  // namespace tenon::cli
