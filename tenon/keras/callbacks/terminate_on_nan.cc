#include <cmath>

#include "tenon/keras/callbacks.h"

namespace tenon::keras {

namespace {

class TerminateOnNaNCallback final : public Callback {
 public:
  Status on_batch_end(Model& model, int64_t step, const RunningMeans& means) override {
    TENON_ASSIGN_OR_RETURN(const Logs* logs, means.read());
    const double* loss = find_log(*logs, "loss");
    if (!loss || std::isfinite(*loss)) return absl::OkStatus();
    print(cat("Batch ", step, ": Invalid loss, terminating training\n"));
    model.stop_training = true;
    return absl::OkStatus();
  }
};

}  // namespace

CallbackPtr TerminateOnNaN() { return std::make_shared<TerminateOnNaNCallback>(); }

}  // namespace tenon::keras
