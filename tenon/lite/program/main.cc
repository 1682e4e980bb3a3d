// tenon-lite: looks at, runs and times `.tflite` models (docs/lite.md, "Small machines").
#include <chrono>
#include <cstdio>
#include <cstring>
#include <set>

#include "tenon/base/files.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/base/thread_pool.h"
#include "tenon/core/op.h"
#include "tenon/io/npy.h"
#include "tenon/lite/builtin_operators.h"
#include "tenon/lite/interpreter.h"
#include "tenon/ops/register_all.h"

namespace tenon::lite {
namespace {

constexpr const char kUsage[] =
    "usage: tenon-lite VERB MODEL.tflite [options]\n"
    "\n"
    "  inspect MODEL            its signatures, with types and shapes\n"
    "  run MODEL [NAME=FILE.npy ...] [--signature S] [--outdir DIR]\n"
    "                           runs it on arrays of numpy.save, zeros for inputs that are not\n"
    "                           given, and prints the results; --outdir writes OUTPUT.npy\n"
    "  bench MODEL [--signature S] [--seconds T] [--threads N]\n"
    "                           the median and the best time of a call\n"
    "  ops MODEL ...            their operators, and the ops that running them takes, fused and\n"
    "                           folded ones too\n"
    "  --version\n";

struct Arguments {
  std::vector<std::string> models;
  std::vector<std::pair<std::string, std::string>> inputs;
  std::string signature, outdir;
  double seconds = 1;
  int64_t threads = 0;
};

StatusOr<std::shared_ptr<const ModelFile>> parse_file(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(std::string bytes, read_file(path));
  return ModelFile::parse(std::move(bytes));
}

StatusOr<std::unique_ptr<Interpreter>> open_model(const Arguments& arguments) {
  TENON_ASSIGN_OR_RETURN(auto file, parse_file(arguments.models[0]));
  TENON_ASSIGN_OR_RETURN(auto interpreter, Interpreter::create(std::move(file)));
  if (!arguments.signature.empty()) {
    TENON_RETURN_IF_ERROR(interpreter->select(arguments.signature));
  }
  return interpreter;
}

void print_described(const char* kind, const TensorView& view) {
  const ValueInfo& value = view.named->value;
  std::string text = cat("  ", kind, " '", view.named->name, "': ", value.dtype, " ", value.shape);
  if (view.scale != 0) text += cat(", scale ", view.scale, ", zero point ", view.zero_point);
  std::printf("%s\n", text.c_str());
}

Status inspect(const Arguments& arguments) {
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(arguments));
  for (const LiteSignature& signature : model->signatures()) {
    TENON_RETURN_IF_ERROR(model->select(signature.name));
    std::printf("%s\n", signature.name.c_str());
    for (size_t i = 0; i < signature.inputs.size(); ++i) {
      TENON_ASSIGN_OR_RETURN(const TensorView view, model->input(i));
      print_described("input", view);
    }
    for (size_t i = 0; i < signature.outputs.size(); ++i) {
      TENON_ASSIGN_OR_RETURN(const TensorView view, model->output(i));
      print_described("output", view);
    }
  }
  return absl::OkStatus();
}

Status give_input(Interpreter& model, const std::string& name, const std::string& path) {
  const std::vector<NamedTensor>& inputs = model.signature().inputs;
  size_t index = 0;
  while (index < inputs.size() && inputs[index].name != name) ++index;
  if (index == inputs.size()) return invalid_argument("the signature has no input '", name, "'");
  TENON_ASSIGN_OR_RETURN(const Tensor array, read_npy(path));
  if (array.dtype() != inputs[index].value.dtype) {
    return invalid_argument("'", path, "' holds ", array.dtype(), ", input '", name, "' is ",
                            inputs[index].value.dtype);
  }
  TENON_RETURN_IF_ERROR(model.resize(index, array.shape().dims()));
  if (array.dtype() == DType::kString) {
    const auto* const texts = array.data<std::string_view>();
    return model.set_strings(index, {texts, static_cast<size_t>(array.num_elements())});
  }
  TENON_ASSIGN_OR_RETURN(const TensorView view, model.input(index));
  if (array.num_bytes() > 0) std::memcpy(view.data, array.raw(), array.num_bytes());
  return absl::OkStatus();
}

void print_values(const std::string& name, const Tensor& tensor) {
  constexpr int64_t kMost = 64;
  const int64_t count = std::min(tensor.num_elements(), kMost);
  std::string text = cat(name, ": ", tensor.dtype(), " ", tensor.shape(), "\n ");
  using Printed =
      TypeList<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, bool>;
  const bool numbers = visit<Printed>(tensor.dtype(), [&]<class T>() {
    char number[32];
    for (int64_t i = 0; i < count; ++i) {
      const double value = static_cast<double>(tensor.data<T>()[static_cast<size_t>(i)]);
      std::snprintf(number, sizeof number, " %.8g", value);
      text += number;
    }
  });
  if (tensor.dtype() == DType::kString) {
    for (int64_t i = 0; i < count; ++i) {
      text += cat(" '", tensor.data<std::string_view>()[static_cast<size_t>(i)], "'");
    }
  } else if (!numbers) {
    text += " (--outdir DIR writes it)";
  }
  std::printf("%s%s\n", text.c_str(), tensor.num_elements() > count ? " ..." : "");
}

Status run(const Arguments& arguments) {
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(arguments));
  for (const auto& [name, path] : arguments.inputs) {
    TENON_RETURN_IF_ERROR(give_input(*model, name, path));
  }
  TENON_RETURN_IF_ERROR(model->invoke());
  for (size_t i = 0; i < model->signature().outputs.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(const TensorView view, model->output(i));
    if (arguments.outdir.empty()) {
      print_values(view.named->name, *view.tensor);
    } else {
      std::string file = view.named->name;
      std::replace(file.begin(), file.end(), '/', '_');
      TENON_RETURN_IF_ERROR(write_npy(cat(arguments.outdir, "/", file, ".npy"), *view.tensor));
    }
  }
  return absl::OkStatus();
}

Status bench(const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::duration<double, std::milli>;
  ThreadPool::configure(static_cast<int>(arguments.threads));
  const auto start = Clock::now();
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(arguments));
  TENON_RETURN_IF_ERROR(model->invoke());
  const Milliseconds first = Clock::now() - start;
  std::vector<double> times;
  for (const auto begin = Clock::now();
       times.size() < 10 ||
       Milliseconds(Clock::now() - begin).count() < 1000 * arguments.seconds;) {
    const auto from = Clock::now();
    TENON_RETURN_IF_ERROR(model->invoke());
    times.push_back(Milliseconds(Clock::now() - from).count());
  }
  std::sort(times.begin(), times.end());
  std::printf("{\"median_ms\":%.5f,\"best_ms\":%.5f,\"first_ms\":%.3f,\"runs\":%zu}\n",
              times[times.size() / 2], times[0], first.count(), times.size());
  return absl::OkStatus();
}

// The operators of the model's file, as its table of codes has them.
void collect_operators(const ModelFile& file, std::set<std::string>& names) {
  for (int i = 0; i < file.num_subgraphs(); ++i) {
    const schema::SubGraph& graph = file.subgraph(i);
    for (int k = 0; k < length(graph.operators()); ++k) {
      const OperatorCode& code = file.code(*graph.operators()->Get(static_cast<uint32_t>(k)));
      if (code.builtin != op::CUSTOM) names.insert(operator_name(code));
    }
  }
}

// Functions are planned by the first run that meets them, so every signature runs once, on zeros.
// Where such a run fails, the model's ops may still be more than these.
Status ops(const Arguments& arguments) {
  std::set<std::string> operators;
  for (const std::string& path : arguments.models) {
    TENON_ASSIGN_OR_RETURN(const auto file, parse_file(path));
    collect_operators(*file, operators);
    TENON_ASSIGN_OR_RETURN(const auto model, Interpreter::create(file));
    for (const LiteSignature& signature : model->signatures()) {
      TENON_RETURN_IF_ERROR(model->select(signature.name));
      if (!signature.outputs.empty()) TENON_RETURN_IF_ERROR(model->output(0).status());
      const Status ran = model->invoke();
      if (ran.ok()) continue;
      std::fprintf(stderr, "warning: %s, '%s' does not run on zeros: %s\n", path.c_str(),
                   signature.name.c_str(), std::string(message_of(ran)).c_str());
    }
  }
  for (const std::string& name : operators) std::printf("operator %s\n", name.c_str());
  for (const OpDef* op : OpRegistry::global().all()) {
    if (op->used()) std::printf("op %s\n", op->name().c_str());
  }
  return absl::OkStatus();
}

Status set_flag(std::string_view flag, std::string_view value, Arguments& arguments) {
  if (flag == "--signature") {
    arguments.signature = value;
  } else if (flag == "--outdir") {
    arguments.outdir = value;
  } else if (flag == "--seconds") {
    if (!parse_number(value, arguments.seconds) || !(arguments.seconds >= 0) ||
        arguments.seconds > 3600) {
      return invalid_argument("--seconds is '", value, "', expected 0 to 3600");
    }
  } else if (flag == "--threads") {
    if (!parse_number(value, arguments.threads) || arguments.threads < 0 ||
        arguments.threads > 1024) {
      return invalid_argument("--threads is '", value, "', expected 0 to 1024");
    }
  } else {
    return invalid_argument("there is no option ", flag);
  }
  return absl::OkStatus();
}

StatusOr<Arguments> parse(int argc, char** argv, bool several) {
  Arguments arguments;
  for (int k = 2; k < argc; ++k) {
    const std::string_view argument = argv[k];
    const size_t equals = argument.find('=');
    if (argument.starts_with("--")) {
      const bool joined = equals != std::string_view::npos;
      if (!joined && k + 1 == argc) return invalid_argument(argument, " needs a value");
      const std::string_view value = joined ? argument.substr(equals + 1) : argv[++k];
      TENON_RETURN_IF_ERROR(set_flag(argument.substr(0, equals), value, arguments));
    } else if (arguments.models.empty() || several) {
      arguments.models.emplace_back(argument);
    } else if (equals != std::string_view::npos) {
      arguments.inputs.emplace_back(argument.substr(0, equals), argument.substr(equals + 1));
    } else {
      return invalid_argument("'", argument, "' is no NAME=FILE.npy");
    }
  }
  if (arguments.models.empty()) return invalid_argument("no model was named");
  return arguments;
}

int main_of(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "--version") return std::printf("tenon-lite %s\n", TENON_LITE_VERSION) > 0 ? 0 : 1;
  if (verb == "--help") return std::fputs(kUsage, stdout) >= 0 ? 0 : 1;
  using Verb = Status (*)(const Arguments&);
  const Verb found = verb == "inspect" ? inspect
                     : verb == "run"   ? run
                     : verb == "bench" ? bench
                     : verb == "ops"   ? Verb(ops)
                                       : nullptr;
  const StatusOr<Arguments> arguments = parse(argc, argv, found == ops);
  if (!found || !arguments.ok()) {
    const std::string message(message_of(arguments.status()));
    if (found) std::fprintf(stderr, "error: %s\n", message.c_str());
    std::fputs(kUsage, stderr);
    return 2;
  }
  const Status status = or_out_of_memory([&]() -> Status {
    TENON_RETURN_IF_ERROR(register_all_ops(OpRegistry::global()));
    return found(*arguments);
  });
  if (status.ok()) return 0;
  std::fprintf(stderr, "error: %s: %s\n", std::string(code_name(status.code())).c_str(),
               std::string(message_of(status)).c_str());
  return 1;
}

}  // namespace
}  // namespace tenon::lite

int main(int argc, char** argv) { return tenon::lite::main_of(argc, argv); }
