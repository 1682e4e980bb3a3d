#include "tenon/ops/math/string_binary.h"

#include "tenon/core/op.h"
#include "tenon/kernels/broadcast.h"

namespace tenon {
namespace {

StatusOr<kernels::BroadcastPlan> string_plan(Prepare& p) {
  if (p.input_dtype(0) != DType::kString) {
    return unimplemented(p.op().name(), " has no CPU kernel for dtype ", p.input_dtype(0));
  }
  return kernels::plan_broadcast(std::vector<Shape>{p.input_shape(0), p.input_shape(1)});
}

// Calls body(a, b, index of the result) for each element. In parallel.
template <class Body>
void for_each_pair(const kernels::BroadcastPlan& plan, KernelRun& r, Body&& body) {
  const auto* a = r.in<std::string_view>(0);
  const auto* b = r.in<std::string_view>(1);
  kernels::for_each_run(
      plan, [&](const int64_t* offsets, const int64_t* steps, int64_t at, int64_t count) {
        for (int64_t i = 0; i < count; ++i) {
          body(a[offsets[0] + i * steps[0]], b[offsets[1] + i * steps[1]], at + i);
        }
      });
}

StatusOr<Kernel> make_string_comparison(Prepare& p, bool result_when_equal) {
  TENON_ASSIGN_OR_RETURN(const kernels::BroadcastPlan plan, string_plan(p));
  return [=](KernelRun& r) {
    bool* y = r.out<bool>(0);
    for_each_pair(plan, r, [&](std::string_view a, std::string_view b, int64_t i) {
      y[i] = (a == b) == result_when_equal;
    });
    return absl::OkStatus();
  };
}

}  // namespace

StatusOr<Kernel> make_string_add(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const kernels::BroadcastPlan plan, string_plan(p));
  return [plan](KernelRun& r) {
    std::vector<std::string> texts(static_cast<size_t>(plan.count));
    for_each_pair(plan, r, [&](std::string_view a, std::string_view b, int64_t i) {
      texts[static_cast<size_t>(i)] = cat(a, b);
    });
    r.set_output(0, Tensor::strings(plan.shape, texts));
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_string_equal(Prepare& p) { return make_string_comparison(p, true); }
StatusOr<Kernel> make_string_not_equal(Prepare& p) { return make_string_comparison(p, false); }

}  // namespace tenon
