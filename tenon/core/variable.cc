#include "tenon/core/variable.h"

namespace tenon {

bool Variable::initialized() const {
  std::lock_guard lock(mutex_);
  return value_.has_value();
}

uint64_t Variable::version() const {
  std::lock_guard lock(mutex_);
  return version_;
}

StatusOr<Tensor> Variable::read() const {
  std::lock_guard lock(mutex_);
  if (!value_.has_value()) {
    return failed_precondition(
        "could not find variable ", name_,
        ": it has no value; run the initialisation signature or restore a checkpoint first");
  }
  return value_;
}

Status Variable::assign(Tensor value) {
  if (value.dtype() != dtype_) {
    return invalid_argument("variable '", name_, "' holds ", dtype_, ", a ", value.dtype(),
                            " was assigned");
  }
  if (!shape_.matches(value.shape())) {
    return invalid_argument("variable '", name_, "' has shape ", shape_, ", a value of shape ",
                            value.shape(), " was assigned");
  }
  Tensor kept = value.keep();
  std::lock_guard lock(mutex_);
  value_ = std::move(kept);
  ++version_;
  return absl::OkStatus();
}

void Variable::clear() {
  std::lock_guard lock(mutex_);
  value_ = Tensor();
  ++version_;
}

Status Variable::update(FunctionRef<Status(Tensor&)> change) {
  std::lock_guard lock(mutex_);
  if (!value_.has_value()) {
    return failed_precondition("variable '", name_, "' is updated before it has a value");
  }
  if (!value_.buffer()->unique()) value_ = value_.clone();
  ++version_;
  return change(value_);
}

}  // namespace tenon
