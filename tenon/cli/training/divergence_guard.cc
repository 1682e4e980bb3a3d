#include "tenon/cli/training/divergence_guard.h"

#include <cmath>

namespace tenon::cli {
namespace {

constexpr int64_t kStepsOnADevice = 32;

bool is_finite(const Tensor& value) {
  bool finite = true;
  visit<FloatTypes>(value.dtype(), [&]<class T>() {
    const std::span<const T> values = value.span<T>();
    finite = std::all_of(values.begin(), values.end(),
                         [](T x) { return std::isfinite(static_cast<float>(x)); });
  });
  return finite;
}

}  // namespace

Status DivergenceGuard::on_epoch_begin(keras::Model&, int64_t epoch) {
  epoch_ = epoch + 1;
  return absl::OkStatus();
}

// A mean over the epoch that is not finite stays so.
Status DivergenceGuard::on_batch_end(keras::Model&, int64_t step,
                                     const keras::RunningMeans& means) {
  const bool at_hand = means.are_at_hand();
  if (!at_hand && step % kStepsOnADevice != 0) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const keras::Logs* logs, means.read());
  return check_loss(*logs, cat(at_hand ? ", step " : ", at the latest in step ", step + 1));
}

Status DivergenceGuard::check_loss(const keras::Logs& logs, std::string_view when) {
  const double* loss = keras::find_log(logs, "loss");
  if (!loss || std::isfinite(*loss)) return absl::OkStatus();
  return diverge(
      cat("the loss is ", std::isnan(*loss) ? "NaN" : "infinite", " at epoch ", epoch_, when));
}

Status DivergenceGuard::on_epoch_end(keras::Model& model, int64_t, keras::Logs& logs) {
  TENON_RETURN_IF_ERROR(check_loss(logs, ""));
  std::vector<Tensor> values;
  for (const keras::Weight* weight : model.checkpoint_variables()) {
    TENON_ASSIGN_OR_RETURN(const Tensor value, weight->variable->read());
    if (!is_finite(value)) {
      return diverge(cat("'", weight->path, "' is no longer finite after epoch ", epoch_));
    }
    if (keep_) values.push_back(value.clone());
  }
  values_ = std::move(values);
  good_epoch_ = epoch_;
  return absl::OkStatus();
}

Status DivergenceGuard::restore_values(keras::Model& model) const {
  size_t at = 0;
  for (const keras::Weight* weight : model.checkpoint_variables()) {
    TENON_RETURN_IF_ERROR(weight->variable->assign(values_[at++].clone()));
  }
  return absl::OkStatus();
}

Status DivergenceGuard::diverge(std::string_view what) {
  diverged_ = true;
  return failed_precondition(what,
                             "; the training has diverged: lower the learning rate, or give "
                             "the optimizer clipnorm");
}

}  // namespace tenon::cli
