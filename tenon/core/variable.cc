#include "tenon/core/variable.h"

#include "tenon/core/device.h"

namespace tenon {

Variable::Variable(std::string name, DType dtype, PartialShape shape)
    : name_(std::move(name)), dtype_(dtype), shape_(std::move(shape)) {}

Variable::~Variable() = default;

bool Variable::initialized() const {
  std::lock_guard lock(mutex_);
  return value_.has_value();
}

Status Variable::bring_to(Stream* stream) const {
  Device* to = stream ? stream->device() : nullptr;
  Device* from = device_of(value_);
  if (from == to) {
    return from && stream != writer_ ? stream->wait(*written_) : absl::OkStatus();
  }
  if (is_object(dtype_)) return absl::OkStatus();
  if (from) TENON_RETURN_IF_ERROR(written_->synchronize());
  TENON_ASSIGN_OR_RETURN(value_, copy_to(value_, stream));
  return written_by(stream);
}

Status Variable::written_by(Stream* stream) const {
  writer_ = stream;
  Device* device = device_of(value_);
  if (!device) {
    written_.reset();
    return absl::OkStatus();
  }
  // An event of another device than the value's went with the value that was there.
  if (!written_ || written_on_ != device) {
    TENON_ASSIGN_OR_RETURN(written_, device->create_event());
    written_on_ = device;
  }
  return stream->record(*written_);
}

StatusOr<Tensor> Variable::read(Stream* stream) const {
  std::lock_guard lock(mutex_);
  if (!value_.has_value()) {
    return failed_precondition(
        "could not find variable ", name_,
        ": it has no value; run the initialisation signature or restore a checkpoint first");
  }
  if (device_of(value_) && !(stream && stream->device())) {
    TENON_RETURN_IF_ERROR(written_->synchronize());
    return copy_to(value_, nullptr);
  }
  TENON_RETURN_IF_ERROR(bring_to(stream));
  return value_;
}

Status Variable::assign(Tensor value, Stream* stream) {
  if (value.dtype() != dtype_) {
    return invalid_argument("variable '", name_, "' holds ", dtype_, ", a ", value.dtype(),
                            " was assigned");
  }
  if (!shape_.matches(value.shape())) {
    return invalid_argument("variable '", name_, "' has shape ", shape_, ", a value of shape ",
                            value.shape(), " was assigned");
  }
  TENON_RETURN_IF_ERROR(keep(value, stream));
  std::lock_guard lock(mutex_);
  value_ = std::move(value);
  ++version_;
  return written_by(stream);
}

void Variable::clear() {
  std::lock_guard lock(mutex_);
  value_ = Tensor();
  ++version_;
}

Status Variable::update(FunctionRef<Status(Tensor&)> change, Stream* stream) {
  std::lock_guard lock(mutex_);
  if (!value_.has_value()) {
    return failed_precondition("variable '", name_, "' is updated before it has a value");
  }
  TENON_RETURN_IF_ERROR(bring_to(stream));
  if (!value_.buffer()->unique()) {
    TENON_ASSIGN_OR_RETURN(value_, copy_to(value_, device_of(value_) ? stream : nullptr));
  }
  ++version_;
  TENON_RETURN_IF_ERROR(change(value_));
  return written_by(stream);
}

namespace {

struct Together {
  std::span<Variable* const> variables;
  Stream* stream;
  FunctionRef<Status(std::span<Tensor* const>)> change;
  std::array<Tensor*, kMostUpdatedTogether> values{};

  // Takes hold of one variable after the other, then calls `change`.
  Status from(size_t at) {
    if (at == variables.size()) return change({values.data(), at});
    return variables[at]->update(
        [&](Tensor& value) {
          values[at] = &value;
          return from(at + 1);
        },
        stream);
  }
};

}  // namespace

Status update_together(std::span<Variable* const> variables, Stream* stream,
                       FunctionRef<Status(std::span<Tensor* const>)> change) {
  if (variables.size() > kMostUpdatedTogether) {
    return invalid_argument(variables.size(), " variables are updated together, at most ",
                            kMostUpdatedTogether, " can be");
  }
  for (size_t i = 0; i < variables.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (variables[i] == variables[j]) {
        return invalid_argument("variable '", variables[i]->name(), "' is input ", j, " and ", i);
      }
    }
  }
  return Together{variables, stream, change}.from(0);
}

}  // namespace tenon
