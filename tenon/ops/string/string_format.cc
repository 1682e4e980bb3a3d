// StringFormat: tensors printed into a template.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

// The digits that read back as the same number: few where they do, else as many as always do
// (tensorflow/core/lib/strings/numbers.cc, FloatToBuffer and DoubleToBuffer).
template <class T>
std::string shortest_digits(T value, int few, int enough) {
  if (std::isnan(value)) return "nan";
  char text[40];
  std::snprintf(text, sizeof(text), "%.*g", few, static_cast<double>(value));
  const auto read = std::is_same_v<T, float> ? static_cast<T>(std::strtof(text, nullptr))
                                             : static_cast<T>(std::strtod(text, nullptr));
  if (read != value) {
    std::snprintf(text, sizeof(text), "%.*g", enough, static_cast<double>(value));
  }
  return text;
}

// As TensorFlow's Tensor::SummarizeValue(most, print_v2 = true): nested brackets, at most `most`
// elements from either end of an axis, all when it is negative.
class TensorPrinter {
 public:
  TensorPrinter(const Tensor& tensor, int64_t most, std::string& out)
      : tensor_(tensor),
        most_(most < 0 ? tensor.num_elements() : std::min(most, tensor.num_elements())),
        out_(out) {}

  void print() {
    if (most_ == 0 && tensor_.dtype() == DType::kBool) return;
    if (most_ == 0 && tensor_.rank() == 0) {
      out_ += "...";
      return;
    }
    print_axis(0, 0);
  }

 private:
  void print_axis(int axis, int64_t begin) {
    if (axis == tensor_.rank()) return print_one(begin);
    const int64_t size = tensor_.dim(axis);
    const int64_t step = tensor_.shape().product(axis + 1, tensor_.rank());
    const bool cut = size > 2 * most_;
    out_ += '[';
    for (int64_t i = 0; i < size; ++i) {
      if (i > 0 || most_ == 0) separate(axis);
      if (cut && i == most_) {
        out_ += "...";
        i = size - most_ - 1;
        continue;
      }
      print_axis(axis + 1, begin + i * step);
    }
    out_ += ']';
  }

  // Elements of the last axis stand beside each other, blocks below, further apart the larger.
  void separate(int axis) {
    const int below = tensor_.rank() - 1 - axis;
    if (below == 0) {
      out_ += ' ';
      return;
    }
    out_.append(static_cast<size_t>(below), '\n');
    out_.append(static_cast<size_t>(axis + 1), ' ');
  }

  void print_one(int64_t index) {
    const auto use = [&]<class T>() {
      const T value = tensor_.data<T>()[index];
      if constexpr (std::is_same_v<T, bool>) {
        out_ += value ? "1" : "0";
      } else if constexpr (std::is_same_v<T, std::string_view>) {
        out_ += cat("\"", value, "\"");
      } else if constexpr (is_complex(dtype_of<T>)) {
        out_ += '?';
      } else if constexpr (std::is_same_v<T, double>) {
        out_ += shortest_digits(value, 15, 17);
      } else if constexpr (is_floating(dtype_of<T>)) {
        out_ += shortest_digits(static_cast<float>(value), 6, 9);
      } else {
        out_ += cat(static_cast<int64_t>(value));
      }
    };
    visit<NumericTypes>(tensor_.dtype(), use);
    visit<TypeList<bool, std::string_view>>(tensor_.dtype(), use);
  }

  const Tensor& tensor_;
  const int64_t most_;
  std::string& out_;
};

StatusOr<Kernel> make_string_format(Prepare& p) {
  const std::string& text = p.attr<std::string>("template");
  const std::string& placeholder = p.attr<std::string>("placeholder");
  std::vector<std::string> pieces;
  size_t begin = 0;
  for (size_t at;
       !placeholder.empty() && (at = text.find(placeholder, begin)) != std::string::npos;) {
    pieces.push_back(text.substr(begin, at - begin));
    begin = at + placeholder.size();
  }
  pieces.push_back(text.substr(begin));
  if (static_cast<int>(pieces.size()) - 1 != p.num_inputs()) {
    return invalid_argument("num placeholders in template and num inputs must match: ",
                            pieces.size() - 1, " vs. ", p.num_inputs());
  }
  return Kernel([pieces, most = p.attr<int64_t>("summarize")](KernelRun& r) {
    std::string out = pieces[0];
    for (int i = 0; i < r.num_inputs(); ++i) {
      TensorPrinter(r.input(i), most, out).print();
      out += pieces[static_cast<size_t>(i) + 1];
    }
    r.set_output(0, Tensor::string(out));
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(StringFormat) = {
    .inputs = "inputs: T",
    .outputs = "output: string",
    .attrs =
        "T: list(type) >= 0; template: string = '%s'; placeholder: string = '%s'; "
        "summarize: int = 3",
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_string_format},
};

}  // namespace tenon
