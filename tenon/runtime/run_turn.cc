#include "tenon/runtime/run_turn.h"

#include "tenon/base/gate.h"
#include "tenon/base/thread_pool.h"

namespace tenon {
namespace {

struct RunGates {
  int threads = ThreadPool::configured_threads();
  Gate short_runs{threads};
  Gate long_runs{std::max(2, threads / 2)};

  Gate& of(RunForm form) { return form == RunForm::kShort ? short_runs : long_runs; }
};

RunGates& run_gates() {
  static RunGates gates;
  return gates;
}

thread_local std::optional<RunForm> current_form;
thread_local RunLimits current_limits;
thread_local bool limited = false;

void begin_run(RunForm form, const RunLimits& limits) {
  current_form = form;
  current_limits = limits;
  limited = limits.cancelled || limits.deadline != std::chrono::steady_clock::time_point::max();
}

void end_run() {
  current_form.reset();
  limited = false;
}

}  // namespace

RunBeside::RunBeside(const RunLimits& limits) { begin_run(RunForm::kShort, limits); }

RunBeside::~RunBeside() { end_run(); }

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

Status RunTurn::check() { return limited ? current_limits.check() : absl::OkStatus(); }

int RunTurn::threads() {
  if (current_form != RunForm::kLong) return 1;
  const RunGates& gates = run_gates();
  const int left = gates.threads - gates.short_runs.inside();
  return std::max(1, left / std::max(1, gates.long_runs.inside()));
}

}  // namespace tenon
