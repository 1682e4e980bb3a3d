// AsString: numbers as text, by a format of printf's.
#include <cstdio>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

// printf's conversion for elements of `dtype`, what stands between '%' and the conversion included.
StatusOr<std::string> printf_format(const AttrMap& attrs, DType dtype) {
  const auto precision = attrs.get<int64_t>("precision");
  const auto width = attrs.get<int64_t>("width");
  const bool scientific = attrs.get<bool>("scientific");
  const bool shortest = attrs.get<bool>("shortest");
  const std::string& fill = attrs.get<std::string>("fill");
  const bool real = is_floating(dtype) || is_complex(dtype);
  if (!real && dtype != DType::kString && (scientific || shortest)) {
    return invalid_argument("scientific and shortest format not supported for datatype ", dtype);
  }
  if (!real && dtype != DType::kString && precision >= 0) {
    return invalid_argument("precision not supported for datatype ", dtype);
  }
  if (scientific && shortest) {
    return invalid_argument("Cannot select both scientific and shortest notation");
  }
  if (fill.size() > 1) {
    return invalid_argument("Fill string must be one or fewer characters, found '", fill, "'");
  }
  std::string format = "%";
  if (!fill.empty()) {
    if (std::string_view(" +-0#").find(fill[0]) == std::string_view::npos) {
      return invalid_argument("Fill argument not supported: \"", fill, "\"");
    }
    format += fill;
  }
  constexpr int64_t kLongest = 4096;
  if (width > kLongest || precision > kLongest) {
    return invalid_argument("width ", width, " and precision ", precision, " must be at most ",
                            kLongest);
  }
  if (width > -1) format += cat(width);
  if (precision > -1) format += cat(".", precision);
  if (real) return format + (shortest ? "g" : scientific ? "e" : "f");
  return format + (is_unsigned_integer(dtype) ? "llu" : "lld");
}

template <class T>
void print_number(const std::string& format, T value, std::string& out) {
  const int size = std::snprintf(nullptr, 0, format.c_str(), value);
  const size_t begin = out.size();
  out.resize(begin + static_cast<size_t>(size) + 1);
  std::snprintf(out.data() + begin, static_cast<size_t>(size) + 1, format.c_str(), value);
  out.pop_back();
}

template <class T>
void print_element(const std::string& format, const T& value, std::string& out) {
  if constexpr (std::is_same_v<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    out += value;
  } else if constexpr (is_complex(dtype_of<T>)) {
    out += '(';
    print_number(format, static_cast<double>(value.real()), out);
    out += ',';
    print_number(format, static_cast<double>(value.imag()), out);
    out += ')';
  } else if constexpr (is_floating(dtype_of<T>)) {
    print_number(format, static_cast<double>(value), out);
  } else if constexpr (std::is_unsigned_v<T>) {
    print_number(format, static_cast<unsigned long long>(value), out);
  } else {
    print_number(format, static_cast<long long>(value), out);
  }
}

StatusOr<Kernel> make_as_string(Prepare& p) {
  const DType dtype = p.input_dtype(0);
  TENON_ASSIGN_OR_RETURN(const std::string format, printf_format(p.attrs(), dtype));
  Kernel kernel;
  const auto use = [&]<class T>() {
    kernel = [format](KernelRun& r) {
      const auto values = r.input(0).span<T>();
      StringTensorBuilder builder(r.input(0).shape());
      std::string text;
      for (size_t i = 0; i < values.size(); ++i) {
        text.clear();
        print_element(format, values[i], text);
        builder.set(static_cast<int64_t>(i), text);
      }
      r.set_output(0, std::move(builder).build());
      return absl::OkStatus();
    };
  };
  visit<NumericTypes>(dtype, use);
  visit<TypeList<bool, std::string_view>>(dtype, use);
  if (!kernel) return unimplemented("AsString has no kernel for dtype ", dtype);
  return kernel;
}

}  // namespace

TENON_OP(AsString) = {
    .inputs = "input: T",
    .outputs = "output: string",
    .attrs =
        "T: {real, complex64, complex128, bool, variant, string}; precision: int = -1; "
        "scientific: bool = false; shortest: bool = false; width: int = -1; fill: string = ''",
    .supplies_outputs = true,
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_as_string},
};

}  // namespace tenon
