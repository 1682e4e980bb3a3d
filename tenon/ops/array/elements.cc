#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

void hold_blocks(Tensor& to, const Tensor& from) {
  auto* target = static_cast<StringBuffer*>(to.buffer().get());
  if (const auto* source = from.buffer() ? from.buffer()->as_strings() : nullptr) {
    for (const Ref<Buffer>& block : source->blocks()) target->hold(block);
  } else if (from.buffer()) {
    target->hold(from.buffer());
  }
}

// The copied pointers are not counted yet.
void acquire_objects(Tensor& to) {
  auto* references = to.mutable_data<Ref<Object>>();
  for (int64_t i = 0; i < to.num_elements(); ++i) {
    Object* object = references[i].get();
    const void* none = nullptr;
    std::memcpy(static_cast<void*>(references + i), &none, sizeof(none));
    references[i] = Ref<Object>(object);
  }
}

}  // namespace

void own_elements(KernelRun& r, int output, int first, int count) {
  Tensor& to = r.output(output);
  if (!is_object(to.dtype())) return;
  static_assert(sizeof(Ref<Object>) == sizeof(Object*));
  if (to.dtype() != DType::kString) return acquire_objects(to);
  for (int i = first; i < first + count; ++i) hold_blocks(to, r.input(i));
}

StatusOr<Kernel> make_view(Prepare& p) {
  const Shape shape = p.output_shape(0).to_shape();
  return [shape](KernelRun& r) {
    r.set_output(0, r.input(0).reshaped(shape));
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_copy(Prepare& p) {
  const size_t bytes =
      static_cast<size_t>(p.input_shape(0).num_elements()) * size_of(p.input_dtype(0));
  p.may_overwrite(0, 0);
  return [bytes](KernelRun& r) {
    void* y = r.output(0).mutable_raw();
    if (bytes > 0 && y != r.input(0).raw()) {
      std::memcpy(y, r.input(0).raw(), bytes);
      own_elements(r, 0, 0);
    }
    return absl::OkStatus();
  };
}

}  // namespace tenon
