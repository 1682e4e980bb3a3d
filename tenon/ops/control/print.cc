// Print, PrintV2, Timestamp, DeviceIndex, ToBool.
#include <atomic>
#include <chrono>
#include <cstdio>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

void print_line(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

Status print_shape(ShapeContext& c) {
  c.set_output(0, c.input(0));
  if (const HandleInfo* handle = c.handle(0)) c.set_handle(0, *handle);
  return absl::OkStatus();
}

// The first `first_n` runs print; a negative number is no limit.
StatusOr<Kernel> make_print(Prepare& p) {
  const auto first_n = p.attr<int64_t>("first_n");
  const auto printed = std::make_shared<std::atomic<int64_t>>(0);
  return Kernel([=, message = p.attr<std::string>("message")](KernelRun& r) {
    if (first_n < 0 || printed->fetch_add(1) < first_n) {
      std::string line = message;
      for (int i = 1; i < r.num_inputs(); ++i) line += cat("[", r.input(i), "]");
      print_line(stderr, line + "\n");
    }
    r.set_output(0, r.input(0).keep());
    return absl::OkStatus();
  });
}

Status print_gradient(Gradient& g) {
  g.set_dx(0, g.dy());
  return absl::OkStatus();
}

StatusOr<Kernel> make_print_v2(Prepare& p) {
  const auto& stream = p.attr<std::string>("output_stream");
  const bool to_stdout = stream == "stdout";
  if (stream.starts_with("file://")) {
    return unimplemented("PrintV2 to a file, '", stream, "'");
  }
  constexpr std::string_view kStreams[] = {"stdout", "stderr", "log(info)", "log(warning)",
                                           "log(error)"};
  if (std::ranges::find(kStreams, stream) == std::end(kStreams)) {
    return invalid_argument("Unknown output stream: ", stream);
  }
  return Kernel([to_stdout, end = p.attr<std::string>("end")](KernelRun& r) {
    print_line(to_stdout ? stdout : stderr, cat(*r.in<std::string_view>(0), end));
    return absl::OkStatus();
  });
}

Status print_v2_shape(ShapeContext& c) { return c.expect_rank(0, 0); }

StatusOr<Kernel> make_timestamp(Prepare&) {
  return Kernel([](KernelRun& r) {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    *r.out<double>(0) = std::chrono::duration<double>(since).count();
    return absl::OkStatus();
  });
}

// Which of the names the device goes by; the number of names when by none. There is one host.
StatusOr<Kernel> make_device_index(Prepare& p) {
  const auto& names = p.attr<std::vector<std::string>>("device_names");
  const auto at = std::ranges::find(names, "CPU") - names.begin();
  return Kernel([at](KernelRun& r) {
    *r.out<int32_t>(0) = static_cast<int32_t>(at);
    return absl::OkStatus();
  });
}

// A scalar by its value, another tensor by whether it has elements.
StatusOr<Kernel> make_to_bool(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  const DType dtype = p.input_dtype(0);
  Kernel kernel;
  if (shape.rank() > 0) {
    return Kernel([some = shape.num_elements() > 0](KernelRun& r) {
      *r.out<bool>(0) = some;
      return absl::OkStatus();
    });
  }
  if (dtype == DType::kString) {
    return Kernel([](KernelRun& r) {
      *r.out<bool>(0) = !r.in<std::string_view>(0)->empty();
      return absl::OkStatus();
    });
  }
  if (dtype == DType::kBool) {
    return Kernel([](KernelRun& r) {
      *r.out<bool>(0) = *r.in<bool>(0);
      return absl::OkStatus();
    });
  }
  visit<RealTypes>(dtype, [&]<class T>() {
    kernel = [](KernelRun& r) {
      *r.out<bool>(0) = static_cast<double>(*r.in<T>(0)) != 0;
      return absl::OkStatus();
    };
  });
  if (!kernel) return invalid_argument(dtype, " cannot be converted to a boolean");
  return kernel;
}

}  // namespace

TENON_OP(Print) = {
    .inputs = "input: T, data: U",
    .outputs = "output: T",
    .attrs =
        "T: type; U: list(type) >= 0; message: string = ''; first_n: int = -1; "
        "summarize: int = 3",
    .effect = Effect::kOutside,
    .supplies_outputs = true,
    .shape = print_shape,
    .gradient = print_gradient,
    .kernels = {make_print},
};
TENON_OP(PrintV2) = {
    .inputs = "input: string",
    .outputs = "",
    .attrs = "output_stream: string = 'stderr'; end: string = '\n'",
    .effect = Effect::kOutside,
    .shape = print_v2_shape,
    .gradient = not_differentiable,
    .kernels = {make_print_v2},
};
TENON_OP(Timestamp) = {
    .inputs = "",
    .outputs = "ts: double",
    .effect = Effect::kRandom,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_timestamp},
};
TENON_OP(DeviceIndex) = {
    .inputs = "",
    .outputs = "index: int32",
    .attrs = "device_names: list(string)",
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_device_index},
};
TENON_OP(ToBool) = {
    .inputs = "input: T",
    .outputs = "output: bool",
    .attrs = "T: type",
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_to_bool},
};

}  // namespace tenon
