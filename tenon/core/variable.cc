#include "tenon/core/variable.h"

#include "tenon/core/device.h"

namespace tenon {

Variable::Variable(std::string name, DType dtype, PartialShape shape)
    : name_(std::move(name)), dtype_(dtype), shape_(std::move(shape)) {}

Variable::~Variable() = default;

std::unique_lock<std::mutex> Variable::lock(const Stream* stream) const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !changing_ || changing_ == stream; });
  return lock;
}

bool Variable::initialized() const {
  const std::lock_guard held(mutex_);
  return value_.has_value();
}

Device* Variable::device() const {
  const std::lock_guard held(mutex_);
  return device_of(value_);
}

Status Variable::no_value() const {
  return failed_precondition(
      "could not find variable ", name_,
      ": it has no value; run the initialisation signature or restore a checkpoint first");
}

Status Variable::after_readers(Stream& stream) const {
  if (!copied_ || stream.capturing() || device_of(copy_) != stream.device()) {
    return absl::OkStatus();
  }
  return stream.wait(*copied_);
}

Status Variable::bring_to(Stream* stream) const {
  Device* to = stream ? stream->device() : nullptr;
  Device* from = device_of(value_);
  if (from == to) {
    if (!to || stream->capturing()) return absl::OkStatus();
    if (stream != writer_) TENON_RETURN_IF_ERROR(stream->wait(*written_));
    return after_readers(*stream);
  }
  if (is_object(dtype_)) return absl::OkStatus();
  if (from) TENON_RETURN_IF_ERROR(written_->synchronize());
  if (to) return move_home(*stream);
  TENON_ASSIGN_OR_RETURN(value_, copy_to(value_, nullptr));
  return written_by(nullptr);
}

// To where it was before on that device, if it still fits.
Status Variable::move_home(Stream& stream) const {
  if (stream.capturing()) return internal("variable '", name_, "' moves while work is captured");
  const bool fits =
      home_ && home_->device() == stream.device() && home_->size() == value_.num_bytes();
  if (!fits) {
    TENON_ASSIGN_OR_RETURN(value_, copy_to(value_, &stream));
    home_ = value_.buffer();
    return written_by(&stream);
  }
  Tensor on_host = value_;
  if (device_of(value_)) {
    TENON_ASSIGN_OR_RETURN(on_host, copy_to(value_, nullptr));
  }
  TENON_RETURN_IF_ERROR(after_readers(stream));
  TENON_RETURN_IF_ERROR(stream.copy_from_host(home_->data(), on_host.raw(), on_host.num_bytes()));
  value_ = Tensor(dtype_, value_.shape(), home_, home_->data());
  return written_by(&stream);
}

Status Variable::written_by(Stream* stream) const {
  // Who captures the work says when it is enqueued: end_change().
  if (stream && stream->capturing()) return absl::OkStatus();
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

Status Variable::changed_by(Stream* stream) {
  copy_is_valid_ = false;
  ++version_;
  return written_by(stream);
}

StatusOr<Tensor> Variable::read(Stream* stream) const {
  const auto held = lock(stream);
  if (!value_.has_value()) return no_value();
  const bool to_host = !(stream && stream->device());
  if (to_host && device_of(value_)) {
    TENON_RETURN_IF_ERROR(written_->synchronize());
    return copy_to(value_, nullptr);
  }
  if (to_host || is_object(dtype_)) return value_;
  return snapshot(*stream);
}

StatusOr<Tensor> Variable::snapshot(Stream& stream) const {
  Device* device = stream.device();
  const bool is_here = copy_.has_value() && device_of(copy_) == device;
  if (is_here && copy_is_valid_) {
    if (reader_ != &stream) {
      reader_ = nullptr;
      TENON_RETURN_IF_ERROR(stream.wait(*copied_));
    }
    return copy_;
  }
  Device* from = device_of(value_);
  if (from == device && writer_ != &stream) {
    TENON_RETURN_IF_ERROR(stream.wait(*written_));
  } else if (from && from != device) {
    TENON_RETURN_IF_ERROR(written_->synchronize());
  }
  // The memory of the copy before, where only this stream can still be reading it.
  const bool again = is_here && reader_ == &stream && copy_.writable() &&
                     copy_.num_bytes() == value_.num_bytes() && (!from || from == device);
  if (again) {
    copy_ = copy_.reshaped(value_.shape());
    const auto copy = from ? &Stream::copy : &Stream::copy_from_host;
    TENON_RETURN_IF_ERROR((stream.*copy)(copy_.mutable_raw(), value_.raw(), value_.num_bytes()));
  } else {
    if (!is_here) copied_.reset();
    TENON_ASSIGN_OR_RETURN(copy_, copy_to(value_, &stream));
  }
  if (!copied_) {
    TENON_ASSIGN_OR_RETURN(copied_, device->create_event());
  }
  TENON_RETURN_IF_ERROR(stream.record(*copied_));
  reader_ = &stream;
  copy_is_valid_ = true;
  return copy_;
}

StatusOr<Tensor> Variable::read_in_place(Stream& stream) const {
  const auto held = lock(&stream);
  if (!value_.has_value()) return no_value();
  TENON_RETURN_IF_ERROR(bring_to(&stream));
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
  const bool on_device = device_of(value) != nullptr;
  if (on_device ? !stream : value.buffer() && value.buffer()->read_only()) {
    TENON_ASSIGN_OR_RETURN(value, copy_to(value, nullptr));
  } else if (!on_device) {
    TENON_RETURN_IF_ERROR(keep(value, stream));
  }
  const auto held = lock(stream);
  if (device_of(value)) return assign_on_device(value, *stream);
  value_ = std::move(value);
  return changed_by(nullptr);
}

Status Variable::assign_on_device(const Tensor& value, Stream& stream) {
  const bool fits =
      home_ && home_->device() == device_of(value) && home_->size() == value.num_bytes();
  if (fits) {
    const bool is_home = value_.has_value() && device_of(value_) == device_of(value);
    if (is_home && writer_ != &stream && !stream.capturing()) {
      TENON_RETURN_IF_ERROR(stream.wait(*written_));
    }
    TENON_RETURN_IF_ERROR(after_readers(stream));
    TENON_RETURN_IF_ERROR(stream.copy(home_->data(), value.raw(), value.num_bytes()));
    value_ = Tensor(dtype_, value.shape(), home_, home_->data());
  } else {
    TENON_ASSIGN_OR_RETURN(value_, copy_to(value, &stream));
    home_ = value_.buffer();
  }
  return changed_by(&stream);
}

void Variable::clear() {
  const auto held = lock(nullptr);
  value_ = Tensor();
  ++version_;
  copy_ = Tensor();
  copy_is_valid_ = false;
  home_ = nullptr;
}

Status Variable::update(FunctionRef<Status(Tensor&)> change, Stream* stream) {
  const auto held = lock(stream);
  if (!value_.has_value()) {
    return failed_precondition("variable '", name_, "' is updated before it has a value");
  }
  TENON_RETURN_IF_ERROR(bring_to(stream));
  if (!device_of(value_) && !value_.writable()) {
    TENON_ASSIGN_OR_RETURN(value_, copy_to(value_, nullptr));
  }
  TENON_RETURN_IF_ERROR(change(value_));
  return changed_by(stream);
}

StatusOr<Tensor> Variable::begin_change(Stream& stream) {
  const auto held = lock(&stream);
  if (!value_.has_value()) return no_value();
  TENON_RETURN_IF_ERROR(bring_to(&stream));
  changing_ = &stream;
  return value_;
}

Status Variable::end_change(Stream& stream) {
  Status status;
  {
    const std::lock_guard held(mutex_);
    changing_ = nullptr;
    status = changed_by(&stream);
  }
  changed_.notify_all();
  return status;
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
