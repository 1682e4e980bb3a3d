// StackV2, StackPushV2, StackPopV2, StackCloseV2: what TensorFlow 1's loops keep for their
// gradients. tensorflow/core/kernels/stack.cc.
#include <mutex>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

// Bounds what a loop can pile up, as a list.
constexpr size_t kMostStacked = size_t{1} << 24;

// Thread-safe.
class TensorStack final : public Object {
 public:
  TensorStack(DType dtype, int64_t capacity) : dtype_(dtype), capacity_(capacity) {}
  static constexpr std::string_view kTypeName = "Stack";
  std::string_view type_name() const override { return kTypeName; }

  Status push(Tensor element) {
    std::lock_guard lock(mutex_);
    if (closed_) return invalid_argument("Stack has already been closed.");
    if (element.dtype() != dtype_) {
      return invalid_argument("Must have type ", dtype_, " but got ", element.dtype());
    }
    if (capacity_ >= 0 && static_cast<int64_t>(elements_.size()) >= capacity_) {
      return invalid_argument("Stack overflowed its max_size (", capacity_, ")");
    }
    if (elements_.size() >= kMostStacked) {
      return resource_exhausted("a stack holds ", elements_.size(), " tensors");
    }
    elements_.push_back(std::move(element));
    return absl::OkStatus();
  }
  StatusOr<Tensor> pop() {
    std::lock_guard lock(mutex_);
    if (closed_) return invalid_argument("Stack has already been closed.");
    if (elements_.empty()) return invalid_argument("Stack is empty when calling Pop().");
    Tensor last = std::move(elements_.back());
    elements_.pop_back();
    return last;
  }
  void close() {
    std::lock_guard lock(mutex_);
    elements_.clear();
    closed_ = true;
  }

 private:
  const DType dtype_;
  const int64_t capacity_;  // negative: none
  std::mutex mutex_;
  std::vector<Tensor> elements_;
  bool closed_ = false;
};

StatusOr<TensorStack*> stack_of(const KernelRun& r) {
  auto* stack = r.input(0).object_as<TensorStack>();
  if (!stack) return not_found("input 0 refers to no stack");
  return stack;
}

StatusOr<Kernel> make_stack(Prepare& p) {
  return Kernel([dtype = p.attr<DType>("elem_type")](KernelRun& r) {
    r.set_output(0, Tensor::object(DType::kResource,
                                   make_ref<TensorStack>(dtype, int64_t{*r.in<int32_t>(0)})));
    return absl::OkStatus();
  });
}

Status stack_push_shape(ShapeContext& c) {
  c.set_output(0, c.input(1));
  return absl::OkStatus();
}

StatusOr<Kernel> make_stack_push(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(TensorStack * stack, stack_of(r));
    const Tensor element = r.input(1).keep();
    TENON_RETURN_IF_ERROR(stack->push(element));
    r.set_output(0, element);
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_stack_pop(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(TensorStack * stack, stack_of(r));
    TENON_ASSIGN_OR_RETURN(Tensor element, stack->pop());
    if (element.dtype() != dtype) {
      return invalid_argument("the stack holds ", element.dtype(), ", ", dtype, " is expected");
    }
    r.set_output(0, std::move(element));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_stack_close(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(TensorStack * stack, stack_of(r));
    stack->close();
    return absl::OkStatus();
  });
}

}  // namespace

// A node makes a new stack each time.
TENON_OP(StackV2) = {
    .inputs = "max_size: int32",
    .outputs = "handle: resource",
    .attrs = "elem_type: type; stack_name: string = ''",
    .effect = Effect::kRandom,
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_stack},
};
TENON_OP(StackPushV2) = {
    .inputs = "handle: resource, elem: T",
    .outputs = "output: T",
    .attrs = "T: type; swap_memory: bool = false",
    .effect = Effect::kWrite,
    .supplies_outputs = true,
    .shape = stack_push_shape,
    .gradient = not_differentiable,
    .kernels = {make_stack_push},
};
TENON_OP(StackPopV2) = {
    .inputs = "handle: resource",
    .outputs = "elem: elem_type",
    .attrs = "elem_type: type",
    .effect = Effect::kWrite,
    .supplies_outputs = true,
    .shape = unknown_shape,
    .gradient = not_differentiable,
    .kernels = {make_stack_pop},
};
TENON_OP(StackCloseV2) = {
    .inputs = "handle: resource",
    .outputs = "",
    .effect = Effect::kWrite,
    .shape = no_outputs,
    .gradient = not_differentiable,
    .kernels = {make_stack_close},
};

}  // namespace tenon
