// Ends a training that has diverged, and keeps what was good before.
#pragma once

#include "tenon/keras/callbacks.h"

namespace tenon::cli {

// Stands before all other callbacks, so that none of them stores spoilt weights. The running step
// or epoch ends with FAILED_PRECONDITION when loss or weights are no longer finite numbers. On a
// device, whose work would have to be waited for, it looks at one step in 32.
class DivergenceGuard final : public keras::Callback {
 public:
  // With `keep`, the values of the last epoch that ended well are kept in memory.
  explicit DivergenceGuard(bool keep) : keep_(keep) {}

  Status on_epoch_begin(keras::Model& model, int64_t epoch) override;
  Status on_batch_end(keras::Model& model, int64_t step, const keras::RunningMeans& means) override;
  Status on_epoch_end(keras::Model& model, int64_t epoch, keras::Logs& logs) override;

  bool diverged() const { return diverged_; }
  // The last epoch that ended well, from 1; 0 when there is none.
  int64_t good_epoch() const { return good_epoch_; }
  // Gives the model back the values that it had then.
  Status restore_values(keras::Model& model) const;

 private:
  Status check_loss(const keras::Logs& logs, std::string_view when);
  Status diverge(std::string_view what);

  const bool keep_;
  bool diverged_ = false;
  int64_t epoch_ = 0, good_epoch_ = 0;
  std::vector<Tensor> values_;  // of checkpoint_variables()
};

}  // namespace tenon::cli
