#include "tenon/cli/bench.h"

#include <cmath>

#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/model_folder.h"
#include "tenon/cli/verbs.h"

namespace tenon::cli {
namespace {

struct BenchFlags {
  std::string signature = "serving_default", precision = "f32", tag_set = "serve";
  std::vector<std::string> dims;
  bool train = false;
  int64_t threads = 0, concurrency = 1;
  TrainBenchFlags training;  // model, batch, seconds and what is printed are of both forms
};

constexpr Usage kBenchUsage = {
    .verb = "bench",
    .what =
        "Times a SavedModel, or with --train a Keras model's training step, on made-up inputs. "
        "The last line\nis one JSON object.",
    .example =
        "tenon bench --model models/digits --batch 32 --seconds 3\n"
        "  tenon bench --train --model digits.keras --batch 64 --optimizer adam "
        "--loss sparse_categorical_crossentropy",
    .operands = "[MODEL]",
    .operand_flag = "model"};

// "tokens=128": the size of that input's unknown dimensions beside the first.
StatusOr<std::map<std::string, int64_t>> parse_dims(const std::vector<std::string>& texts) {
  std::map<std::string, int64_t> dims;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    int64_t size = 0;
    if (equals == text.npos || !parse_number(std::string_view(text).substr(equals + 1), size) ||
        size < 0) {
      return wrong_usage(cat("--dim=", text, ": expected INPUT=N"));
    }
    dims[text.substr(0, equals)] = size;
  }
  return dims;
}

StatusOr<Shape> bench_shape(const SignatureTensor& input, int64_t batch,
                            const std::map<std::string, int64_t>& dims) {
  if (!input.shape.has_rank()) return Shape{batch};
  std::vector<int64_t> sizes(input.shape.dims().begin(), input.shape.dims().end());
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] >= 0) continue;
    const auto it = dims.find(input.name);
    if (axis > 0 && it == dims.end()) {
      return wrong_usage(cat("input '", input.name, "' has shape ", input.shape,
                             "; say how large with --dim ", input.name, "=N"));
    }
    sizes[axis] = axis == 0 ? batch : it->second;
  }
  return Shape::make(sizes, size_of(input.dtype));
}

Status bench_saved_model(const BenchFlags& flags) {
  BenchTimes times;
  const auto start = std::chrono::steady_clock::now();
  TENON_ASSIGN_OR_RETURN(const std::string folder, model_folder(flags.training.model));
  LoadOptions options;
  options.tags = parse_tags(flags.tag_set);
  options.warn = false;
  TENON_ASSIGN_OR_RETURN(options.executable.precision, parse_precision(flags.precision));
  TENON_ASSIGN_OR_RETURN(const auto model, SavedModel::load(folder, std::move(options)));
  TENON_ASSIGN_OR_RETURN(const Signature* signature, require_signature(*model, flags.signature));
  TENON_ASSIGN_OR_RETURN(const auto executable, model->executable(*signature));
  times.load_ms = milliseconds_since(start);

  TENON_ASSIGN_OR_RETURN(const auto dims, parse_dims(flags.dims));
  for (const auto& [name, size] : dims) {
    const auto is_it = [&wanted = name](const SignatureTensor& input) {
      return input.name == wanted;
    };
    if (std::none_of(signature->inputs.begin(), signature->inputs.end(), is_it)) {
      return wrong_usage(
          cat("--dim=", name, "=", size, ": the signature has no input '", name, "'"));
    }
  }
  std::vector<Tensor> args;
  for (const SignatureTensor& input : signature->inputs) {
    TENON_ASSIGN_OR_RETURN(const Shape shape, bench_shape(input, flags.training.batch, dims));
    TENON_ASSIGN_OR_RETURN(Tensor arg,
                           made_up(input.dtype, shape, flags.training.int_limit, args.size() + 1));
    args.push_back(std::move(arg));
  }
  std::vector<std::vector<Tensor>> args_of(static_cast<size_t>(flags.concurrency), args);
  for (std::vector<Tensor>& own : args_of) {
    for (Tensor& arg : own) arg = arg.clone();
  }
  std::vector<std::vector<Tensor>> results(args_of.size());
  const auto run = [&](int64_t caller) {
    const auto i = static_cast<size_t>(caller);
    return executable->run(args_of[i], results[i]);
  };
  const double seconds = flags.training.seconds;
  TENON_RETURN_IF_ERROR(flags.concurrency > 1
                            ? measure_callers(seconds, flags.concurrency, run, times)
                            : measure_steps(
                                  seconds, [&] { return run(0); }, times));
  BenchProfile profile;
  if (flags.training.profile) {
    TENON_RETURN_IF_ERROR(profile_steps(
        seconds, [&] { return run(0); }, profile));
  }
  print(bench_report(std::move(times), profile, flags.training.json));
  return absl::OkStatus();
}

Status bench(const BenchFlags& flags) {
  TENON_RETURN_IF_ERROR(start_engine(flags.threads));
  if (flags.training.batch <= 0) return wrong_usage("--batch: expected more than 0");
  if (flags.concurrency <= 0 || flags.concurrency > 4096) {
    return wrong_usage("--concurrency: expected 1 to 4096");
  }
  if (!(flags.training.seconds >= 0 && std::isfinite(flags.training.seconds))) {
    return wrong_usage("--seconds: expected 0 or more");
  }
  if (flags.training.int_limit <= 0) return wrong_usage("--int_limit: expected more than 0");
  return flags.train ? bench_training(flags.training) : bench_saved_model(flags);
}

}  // namespace

int bench_command(Words words) {
  BenchFlags f;
  const Flag flags[] = {
      {"model", &f.training.model, "DIR|FILE", "a SavedModel; with --train FILE.keras or FILE.json",
       true, "model_base_path,dir"},
      {"signature_def", &f.signature, "NAME", "the signature"},
      {"tag_set", &f.tag_set, "TAGS", "tags of the MetaGraph"},
      {"batch", &f.training.batch, "N", "rows of a batch"},
      {"dim", &f.dims, "INPUT=N", "size of an input's other unknown dimensions"},
      {"int_limit", &f.training.int_limit, "N", "integers are drawn below it"},
      {"seconds", &f.training.seconds, "T", "how long to measure"},
      {"threads", &f.threads, "N", "threads that compute; 0: all"},
      {"concurrency", &f.concurrency, "N", "threads that run the model at once"},
      {"precision", &f.precision, "f32|bf16", "of multiplications"},
      {"train", &f.train, "", "time the training step of --model"},
      {"optimizer", &f.training.optimizer, "NAME", "with --train"},
      {"loss", &f.training.loss, "NAME", "with --train, which needs it: mse, ..."},
      {"from_logits", &f.training.from_logits, "", "with --train: outputs are logits"},
      {"strategy", &f.training.strategy.strategy, "NAME", "with --train: mirrored"},
      {"devices", &f.training.strategy.devices, "NAMES", "of --strategy: 'GPU:0,GPU:1'"},
      {"profile", &f.training.profile, "",
       "then time each step of as many runs again: a table of ops and nodes"},
      {"json", &f.training.json, "", "print the JSON line alone, with --profile as \"steps\""},
  };
  return run_verb(kBenchUsage, flags, words, [&](const Operands&) { return bench(f); });
}

}  // namespace tenon::cli
