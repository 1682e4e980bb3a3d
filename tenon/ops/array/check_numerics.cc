#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

struct FoundNumerics {
  bool nan = false, positive_infinity = false, negative_infinity = false;
};
template <class T>
FoundNumerics look_for_numerics(std::span<const T> values) {
  FoundNumerics found;
  for (T element : values) {
    const auto value = static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(element);
    found.nan |= std::isnan(value);
    found.positive_infinity |= std::isinf(value) && value > 0;
    found.negative_infinity |= std::isinf(value) && value < 0;
  }
  return found;
}

// `signed_infinity`: the second version tells -Inf from +Inf.
std::string describe_numerics(const FoundNumerics& found, bool signed_infinity) {
  std::vector<std::string> words;
  if (signed_infinity) {
    if (found.negative_infinity) words.emplace_back("-Inf");
    if (found.positive_infinity) words.emplace_back("+Inf");
  } else if (found.negative_infinity || found.positive_infinity) {
    words.emplace_back("Inf");
  }
  if (found.nan) words.emplace_back("NaN");
  return join(words, " and ");
}

template <bool signed_infinity>
StatusOr<Kernel> make_check_numerics(Prepare& p) {
  Kernel kernel;
  p.may_overwrite(0, 0);
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [message = p.attr<std::string>("message")](KernelRun& r) -> Status {
      const std::span<const T> x = r.input(0).span<T>();
      const FoundNumerics found = look_for_numerics(x);
      if (found.nan || found.positive_infinity || found.negative_infinity) {
        return invalid_argument(message, " : Tensor had ",
                                describe_numerics(found, signed_infinity), " values");
      }
      if (x.data() != r.out<T>(0)) std::copy(x.begin(), x.end(), r.out<T>(0));
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status check_numerics_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const std::string message = "Not a number (NaN) or infinity (Inf) values detected in gradient.";
  g.set_dx(0, b.op("CheckNumerics", {g.dy()}, {{"message", message}}));
  return absl::OkStatus();
}

constexpr OpDecl check_numerics(KernelFactory factory) {
  return {
      .inputs = "tensor: T",
      .outputs = "output: T",
      .attrs = "T: {floating}; message: string",
      .effect = Effect::kOutside,
      .shape = same_as_input<0>,
      .rows = Rows::kIndependent,
      .gradient = check_numerics_gradient,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(CheckNumerics) = check_numerics(make_check_numerics<false>);
TENON_OP(CheckNumericsV2) = check_numerics(make_check_numerics<true>);

}  // namespace tenon
