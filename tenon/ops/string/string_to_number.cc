// StringToNumber.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/string/text_number.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_string_to_number(Prepare& p) {
  Kernel kernel;
  visit<TextNumberTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [](KernelRun& r) -> Status {
      const auto texts = r.input(0).span<std::string_view>();
      for (size_t i = 0; i < texts.size(); ++i) {
        if (!read_text_number(texts[i], r.out<T>(0)[i])) {
          return invalid_argument("StringToNumberOp could not correctly convert string: ",
                                  texts[i]);
        }
      }
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("StringToNumber does not give ", p.output_dtype(0));
  return kernel;
}

}  // namespace

TENON_OP(StringToNumber) = {
    .inputs = "string_tensor: string",
    .outputs = "output: out_type",
    .attrs = "out_type: {float, double, int32, int64, uint32, uint64} = float",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_string_to_number},
};

}  // namespace tenon
