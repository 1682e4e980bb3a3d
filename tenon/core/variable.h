// Variable: a tensor that runs read and write.
//
// Readers take a snapshot that later writes do not change: a write in place happens only when
// nobody else holds the buffer, else the variable gets a new one (copy on write). Thread-safe.
#pragma once

#include "tenon/base/function_ref.h"
#include "tenon/core/tensor.h"

namespace tenon {

class Variable final : public Object {
 public:
  Variable(std::string name, DType dtype, PartialShape shape)
      : name_(std::move(name)), dtype_(dtype), shape_(std::move(shape)) {}

  std::string_view type_name() const override { return "Variable"; }
  const std::string& name() const { return name_; }
  DType dtype() const { return dtype_; }
  // What values must look like; their shape is free where it is not known.
  const PartialShape& shape() const { return shape_; }

  bool initialized() const;

  // Counts the writes; a packed copy of the value is valid for one version.
  uint64_t version() const;

  // FAILED_PRECONDITION, in TensorFlow's words, when no value was ever assigned.
  StatusOr<Tensor> read() const;

  // Shares `value`. INVALID_ARGUMENT when dtype or shape do not fit.
  Status assign(Tensor value);

  // Takes the value away: initialized() is false again.
  void clear();

  // Calls `change` with a tensor that only this variable holds; nobody reads meanwhile.
  Status update(FunctionRef<Status(Tensor&)> change);

 private:
  const std::string name_;
  const DType dtype_;
  const PartialShape shape_;
  mutable std::mutex mutex_;
  Tensor value_;
  uint64_t version_ = 0;
};

}  // namespace tenon
