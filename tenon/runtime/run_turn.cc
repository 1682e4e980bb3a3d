#include "tenon/runtime/run_turn.h"

#include <limits>

#include "tenon/base/gate.h"
#include "tenon/base/thread_pool.h"

namespace tenon {
namespace {

struct RunGates {
  int threads = ThreadPool::configured_threads();
  Gate short_runs{threads};
  Gate long_runs{std::max(2, threads / 2)};
  Gate device_runs{std::numeric_limits<int>::max()};  // where nobody waits

  Gate& of(RunForm form) {
    return form == RunForm::kShort ? short_runs : form == RunForm::kLong ? long_runs : device_runs;
  }
};

RunGates& run_gates() {
  static RunGates gates;
  return gates;
}

thread_local std::optional<RunForm> current_form;
thread_local RunLimits current_limits;
thread_local bool run_limited = false;
thread_local bool run_beside = false;  // without a turn

void begin_run(RunForm form, const RunLimits& limits) {
  current_form = form;
  current_limits = limits;
  run_limited = limits.cancelled || limits.deadline != std::chrono::steady_clock::time_point::max();
}

void end_run() {
  current_form.reset();
  run_limited = false;
}

}  // namespace

RunBeside::RunBeside(const RunLimits& limits) {
  run_beside = true;
  begin_run(RunForm::kShort, limits);
}

RunBeside::~RunBeside() {
  run_beside = false;
  end_run();
}

Status RunLimits::check() const {
  if (cancelled && *cancelled) return tenon::cancelled("the run was cancelled");
  if (deadline != std::chrono::steady_clock::time_point::max() &&
      std::chrono::steady_clock::now() >= deadline) {
    return deadline_exceeded("the run did not end before its deadline");
  }
  return absl::OkStatus();
}

StatusOr<RunTurn> RunTurn::take(RunForm form, const RunLimits& limits) {
  if (current_form) return RunTurn(std::nullopt);
  if (!run_gates().of(form).enter(limits.deadline, limits.cancelled)) {
    TENON_RETURN_IF_ERROR(limits.check());
    return deadline_exceeded("the run did not get its turn in time");
  }
  begin_run(form, limits);
  return RunTurn(form);
}

RunTurn::~RunTurn() {
  if (!form_) return;
  end_run();
  run_gates().of(*form_).leave();
}

Status RunTurn::check() { return run_limited ? current_limits.check() : absl::OkStatus(); }

bool RunTurn::limited() { return run_limited; }

RunPause::RunPause() : form_(run_beside ? std::nullopt : current_form) {
  if (form_) run_gates().of(*form_).leave();
}

// The run itself must come to its end whatever its limits say.
RunPause::~RunPause() {
  if (form_) run_gates().of(*form_).enter(std::chrono::steady_clock::time_point::max(), nullptr);
}

int RunTurn::threads() {
  if (!current_form || current_form == RunForm::kShort) return 1;
  const RunGates& gates = run_gates();
  const int left = gates.threads - gates.short_runs.inside();
  const int beside = current_form == RunForm::kDevice ? 1 : 0;
  return std::max(1, left / std::max(1, gates.long_runs.inside() + beside));
}

}  // namespace tenon
