// _LiteTable: a function of 8 or 16 bits by a table of all its values. Every element-wise operator
// of TensorFlow Lite on 8 bits is one; whoever makes the node computes the values.
#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon {
namespace {

int64_t table_entries(DType dtype) { return dtype == DType::kInt16 ? 65536 : 256; }

Status lite_table_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const PartialShape& table = c.input(1);
  const int64_t wanted = table_entries(c.input_dtype(0));
  if (table.has_rank() && table[0] >= 0 && table[0] != wanted) {
    return invalid_argument("the table has ", table[0], " entries, expected ", wanted);
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

template <class X, class Y>
Kernel table_kernel(int64_t count) {
  return [count](KernelRun& r) {
    const X* x = r.in<X>(0);
    const Y* table = r.in<Y>(1) - std::numeric_limits<X>::min();
    Y* y = r.out<Y>(0);
    parallel_for(count, kernels::grain_of(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = table[x[i]];
    });
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_lite_table(Prepare& p) {
  Kernel kernel;
  const int64_t count = p.input_shape(0).num_elements();
  Status status = lite::visit_levels(p.input_dtype(0), [&]<class X>() {
    if (p.output_dtype(0) == DType::kFloat) {
      kernel = table_kernel<X, float>(count);
    } else {
      (void)lite::visit_levels(p.output_dtype(0),
                               [&]<class Y>() { kernel = table_kernel<X, Y>(count); });
    }
  });
  TENON_RETURN_IF_ERROR(status);
  return kernel;
}

}  // namespace

TENON_OP(_LiteTable) = {
    .inputs = "x: T, table: U",
    .outputs = "y: U",
    .attrs = "T: " TENON_LITE_LEVELS "; U: {int8, uint8, int16, float}",
    .shape = lite_table_shape,
    .rows = Rows::kMixed,
    .gradient = not_differentiable,
    .kernels = {make_lite_table},
};

}  // namespace tenon
