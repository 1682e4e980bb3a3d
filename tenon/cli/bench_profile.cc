#include <map>

#include "tenon/cli/bench.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"

namespace tenon::cli {
namespace {

constexpr size_t kNodesShown = 12;

double ms_of(const StepTime& step, int64_t runs) {
  return static_cast<double>(step.ns) * 1e-6 / static_cast<double>(runs);
}

double runs_of(const StepTime& step, int64_t runs) {
  return static_cast<double>(step.runs) / static_cast<double>(runs);
}

std::string row_of(double share, const StepTime& step, int64_t runs) {
  char text[96];
  std::snprintf(text, sizeof(text), "%6.1f %% %10.4f %7.4g %8d  ", share, ms_of(step, runs),
                runs_of(step, runs), step.team);
  return text;
}

// What the host does beside a device is told apart.
std::string name_of(const StepTime& step) {
  return step.on_host ? cat(step.op, " on the host") : step.op;
}

std::vector<StepTime> by_op(const std::vector<StepTime>& steps) {
  std::map<std::string, StepTime> sums;
  for (const StepTime& step : steps) {
    StepTime& sum = sums[name_of(step)];
    sum.op = name_of(step);
    sum.team = std::max(sum.team, step.team);
    sum.runs += step.runs;
    sum.ns += step.ns;
  }
  std::vector<StepTime> sorted;
  for (auto& [op, sum] : sums) sorted.push_back(std::move(sum));
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const StepTime& a, const StepTime& b) { return a.ns > b.ns; });
  return sorted;
}

}  // namespace

std::string profile_table(const BenchProfile& profile) {
  const int64_t runs = profile.runs;
  const std::vector<StepTime>& steps = profile.steps;
  double all = 0;
  for (const StepTime& step : steps) all += static_cast<double>(step.ns);
  const auto share = [&](const StepTime& step) {
    return all > 0 ? 100.0 * static_cast<double>(step.ns) / all : 0;
  };
  std::string text = "   share   ms a run   steps  threads  op\n";
  for (const StepTime& op : by_op(steps)) text += row_of(share(op), op, runs) + op.op + "\n";
  text += "\n   share   ms a run   steps  threads  node\n";
  for (size_t i = 0; i < std::min(steps.size(), kNodesShown); ++i) {
    text += cat(row_of(share(steps[i]), steps[i], runs), name_of(steps[i]), " ", steps[i].node,
                "  ", steps[i].shapes, "\n");
  }
  return text + "\n";
}

std::string profile_json(const BenchProfile& profile) {
  std::string text = "[";
  for (const StepTime& step : profile.steps) {
    if (text.size() > 1) text += ",";
    text += cat("{\"op\":", json_string(step.op), ",\"node\":", json_string(step.node),
                ",\"shapes\":", json_string(step.shapes),
                ",\"ms\":", json_number(ms_of(step, profile.runs)),
                ",\"runs\":", json_number(runs_of(step, profile.runs)), ",\"threads\":", step.team,
                step.on_host ? ",\"on_host\":true" : "",
                ",\"estimated_ms\":", json_number(static_cast<double>(step.work_ns) * 1e-6), "}");
  }
  return text + "]";
}

Status profile_steps(double seconds, FunctionRef<Status()> step, BenchProfile& profile) {
  const auto begin = std::chrono::steady_clock::now();
  StepProfile::start();
  Status status;
  do {
    status = step();
    ++profile.runs;
  } while (status.ok() && milliseconds_since(begin) < seconds * 1e3);
  profile.steps = StepProfile::stop();
  return status;
}

}  // namespace tenon::cli
