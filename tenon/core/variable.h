// Variable: a tensor that runs read and write.
//
// Readers take a snapshot that later writes do not change: a write in place happens only when
// nobody else holds the buffer, else the variable gets a new one (copy on write). Thread-safe.
//
// The value is in the memory of one device at a time: of the one that computed it, until another
// device reads or changes it, which moves it there. The host reads a copy and leaves it where it
// is. A stream that uses what another one is still computing waits for that.
#pragma once

#include <atomic>

#include "tenon/base/function_ref.h"
#include "tenon/core/tensor.h"

namespace tenon {

class Device;
class Event;
class Stream;

class Variable final : public Object {
 public:
  Variable(std::string name, DType dtype, PartialShape shape);
  ~Variable() override;

  std::string_view type_name() const override { return "Variable"; }
  const std::string& name() const { return name_; }
  DType dtype() const { return dtype_; }
  // What values must look like; their shape is free where it is not known.
  const PartialShape& shape() const { return shape_; }

  bool initialized() const;

  // Another number after each assign(), update() and clear().
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // The value in the memory of `stream`'s device, for work enqueued on `stream`; null: in host
  // memory. FAILED_PRECONDITION, in TensorFlow's words, when no value was ever assigned.
  StatusOr<Tensor> read(Stream* stream = nullptr) const;

  // Shares `value`, which `stream` computes when it is in a device's memory. INVALID_ARGUMENT when
  // dtype or shape do not fit.
  Status assign(Tensor value, Stream* stream = nullptr);

  // Takes the value away: initialized() is false again.
  void clear();

  // Calls `change` with a tensor that only this variable holds, in the memory of `stream`'s device
  // (null: the host's); nobody reads meanwhile. On a device, `change` enqueues work on `stream`.
  Status update(FunctionRef<Status(Tensor&)> change, Stream* stream = nullptr);

 private:
  // Makes the value one that work on `stream` may use. The lock is held.
  Status bring_to(Stream* stream) const;
  // Work that computes the value was enqueued on `stream`. The lock is held.
  Status written_by(Stream* stream) const;

  const std::string name_;
  const DType dtype_;
  const PartialShape shape_;
  std::atomic<uint64_t> version_{0};
  mutable std::mutex mutex_;
  mutable Tensor value_;
  mutable const Stream* writer_ = nullptr;  // the last one, null for the host
  mutable std::unique_ptr<Event> written_;  // after its last work
  mutable Device* written_on_ = nullptr;    // whose event it is
};

inline constexpr size_t kMostUpdatedTogether = 8;

// Updates up to kMostUpdatedTogether variables as one, see Variable::update(). INVALID_ARGUMENT
// when two are the same.
Status update_together(std::span<Variable* const> variables, Stream* stream,
                       FunctionRef<Status(std::span<Tensor* const>)> change);

}  // namespace tenon
