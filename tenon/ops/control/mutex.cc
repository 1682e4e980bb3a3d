// MutexV2, MutexLock, ConsumeMutexLock: tf.CriticalSection. Ops that write a resource run in
// program order, and runs that write run one at a time (runtime/), so a lock has nothing to do.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

class Mutex final : public Object {
 public:
  static constexpr std::string_view kTypeName = "Mutex";
  std::string_view type_name() const override { return kTypeName; }
};
class MutexLock final : public Object {
 public:
  static constexpr std::string_view kTypeName = "MutexLock";
  std::string_view type_name() const override { return kTypeName; }
};

StatusOr<Kernel> make_mutex(Prepare&) {
  return Kernel([mutex = make_ref<Mutex>()](KernelRun& r) {
    r.set_output(0, Tensor::object(DType::kResource, mutex));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_mutex_lock(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    if (!r.input(0).object_as<Mutex>()) return not_found("input 0 refers to no mutex");
    r.set_output(0, Tensor::object(DType::kVariant, make_ref<MutexLock>()));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_consume_lock(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    if (r.input(0).object_as<MutexLock>()) return absl::OkStatus();
    return invalid_argument("input 0 is no lock of a mutex");
  });
}

}  // namespace

TENON_OP(MutexV2) = {
    .inputs = "",
    .outputs = "resource: resource",
    .attrs = "container: string = ''; shared_name: string = ''",
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_mutex},
};
TENON_OP(MutexLock) = {
    .inputs = "mutex: resource",
    .outputs = "mutex_lock: variant",
    .effect = Effect::kWrite,
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_mutex_lock},
};
TENON_OP(ConsumeMutexLock) = {
    .inputs = "mutex_lock: variant",
    .outputs = "",
    .effect = Effect::kOutside,
    .shape = no_outputs,
    .gradient = not_differentiable,
    .kernels = {make_consume_lock},
};

}  // namespace tenon
