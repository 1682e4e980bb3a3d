// Variable: a tensor that runs read and write.
//
// Readers take a snapshot that later writes do not change. In host memory they share it: a write in
// place happens only when nobody else holds the buffer, else the variable gets a new one (copy on
// write). On a device the variable keeps its address, which captured graphs know: it is always
// written in place, and readers that need a snapshot copy, once for each value. Thread-safe.
//
// The value is in the memory of one device at a time: of the one that computed it, until another
// device changes it, which moves it there. Who only reads gets a copy and leaves it where it is. A
// stream that uses what another one is still computing waits for that. Memory that somebody lent is
// never a variable's: it is copied.
#pragma once

#include <atomic>
#include <condition_variable>

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

  static constexpr std::string_view kTypeName = "Variable";
  std::string_view type_name() const override { return kTypeName; }
  const std::string& name() const { return name_; }
  DType dtype() const { return dtype_; }
  // What values must look like; their shape is free where it is not known.
  const PartialShape& shape() const { return shape_; }

  bool initialized() const;

  // In whose memory the value is; null for the host's.
  Device* device() const;

  // Another number after each assign(), update() and clear().
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // The value in the memory of `stream`'s device, for work enqueued on `stream`; null: in host
  // memory. FAILED_PRECONDITION, in TensorFlow's words, when no value was ever assigned.
  StatusOr<Tensor> read(Stream* stream = nullptr) const;

  // The variable's own memory on `stream`'s device, where the value is moved to. For readers that
  // are done, in the order of their stream, before anything changes it: steps of a run that holds
  // back all others that change variables, and captured graphs.
  StatusOr<Tensor> read_in_place(Stream& stream) const;

  // Shares `value`, or copies it when it is in a device's memory, where `stream` computes it.
  // INVALID_ARGUMENT when dtype or shape do not fit.
  Status assign(Tensor value, Stream* stream = nullptr);

  // Takes the value away: initialized() is false again.
  void clear();

  // Calls `change` with a tensor that only this variable holds, in the memory of `stream`'s device
  // (null: the host's); nobody reads meanwhile. On a device, `change` enqueues work on `stream`.
  Status update(FunctionRef<Status(Tensor&)> change, Stream* stream = nullptr);

  // Around the capture and the launch of work on `stream` that changes the value. The first returns
  // it as read_in_place() does; until end_change(), which must follow where it succeeded, only
  // calls with this stream come to it. Runs that do this to several variables at once hold each
  // other back.
  StatusOr<Tensor> begin_change(Stream& stream);
  Status end_change(Stream& stream);

 private:
  std::unique_lock<std::mutex> lock(const Stream* stream) const;
  Status no_value() const;
  // Of these the lock is held.
  //
  // Makes the value one that work on `stream` may use and change.
  Status bring_to(Stream* stream) const;
  Status move_home(Stream& stream) const;
  // What is enqueued on `stream` later writes after who still copies the value.
  Status after_readers(Stream& stream) const;
  StatusOr<Tensor> snapshot(Stream& stream) const;
  Status assign_on_device(const Tensor& value, Stream& stream);
  // It was changed by work enqueued on `stream`.
  Status changed_by(Stream* stream);
  // Work that computes the value was enqueued on `stream`.
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
  const Stream* changing_ = nullptr;        // between begin_change() and end_change()
  mutable std::condition_variable changed_;

  mutable Ref<Buffer> home_;  // its memory on a device, also while the value is elsewhere
  // The copy for readers on a device; only `reader_` has used its memory, or several (null).
  mutable Tensor copy_;
  mutable bool copy_is_valid_ = false;
  mutable const Stream* reader_ = nullptr;
  mutable std::unique_ptr<Event> copied_;  // after the copy was made
};

inline constexpr size_t kMostUpdatedTogether = 8;

// Updates up to kMostUpdatedTogether variables as one, see Variable::update(). INVALID_ARGUMENT
// when two are the same.
Status update_together(std::span<Variable* const> variables, Stream* stream,
                       FunctionRef<Status(std::span<Tensor* const>)> change);

}  // namespace tenon
