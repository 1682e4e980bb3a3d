#include "tenon/cli/bench.h"
#include "tenon/cli/flags.h"

namespace tenon::cli {
namespace {

StatusOr<Tensor> made_up_batch(const keras::KTensor& tensor, DType dtype, int64_t batch,
                               int64_t int_limit) {
  const PartialShape& shape = tensor.shape();
  Shape whole{batch};
  for (int axis = 1; axis < shape.rank(); ++axis) {
    if (shape[axis] < 0) {
      return invalid_argument("the model has an unknown dimension besides the batch: ", shape);
    }
    whole.append(shape[axis]);
  }
  return made_up(dtype, whole, int_limit, 1);
}

// Class numbers where the loss wants them, else values like the predictions.
StatusOr<Tensor> made_up_target(const keras::KTensor& output, const TrainBenchFlags& flags) {
  if (flags.loss.find("sparse") == std::string::npos) {
    return made_up_batch(output, DType::kFloat, flags.batch, 2);
  }
  Shape rows{flags.batch};
  for (int axis = 1; axis + 1 < output.shape().rank(); ++axis) rows.append(output.shape()[axis]);
  return made_up(DType::kInt64, rows, output.shape()[output.shape().rank() - 1], 2);
}

}  // namespace

Status bench_training(const TrainBenchFlags& flags) {
  if (flags.loss.empty()) {
    return wrong_usage(
        "--loss is missing: with --train it decides what the made-up targets look like; for "
        "instance sparse_categorical_crossentropy or mse");
  }
  BenchTimes times;
  keras::ModelOptions options;
  TENON_ASSIGN_OR_RETURN(options.strategy, open_strategy(flags.strategy));
  const auto start = std::chrono::steady_clock::now();
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(flags.model, nullptr, options));
  TENON_RETURN_IF_ERROR(compile_model(*model, {.optimizer = flags.optimizer,
                                               .loss = flags.loss,
                                               .metrics = {},
                                               .from_logits = flags.from_logits}));
  times.load_ms = milliseconds_since(start);
  keras::Inputs x;
  for (const keras::KTensor& input : model->network().inputs) {
    TENON_ASSIGN_OR_RETURN(Tensor batch,
                           made_up_batch(input, input.dtype(), flags.batch, flags.int_limit));
    x.push_back(std::move(batch));
  }
  keras::Targets y;
  for (const keras::KTensor& output : model->network().outputs) {
    TENON_ASSIGN_OR_RETURN(Tensor target, made_up_target(output, flags));
    y.push_back(std::move(target));
  }
  const auto step = [&] { return model->train_on_batch(x, y).status(); };
  TENON_RETURN_IF_ERROR(measure_steps(flags.seconds, step, times));
  BenchProfile profile;
  if (flags.profile) TENON_RETURN_IF_ERROR(profile_steps(flags.seconds, step, profile));
  print(bench_report(std::move(times), profile, flags.json));
  return absl::OkStatus();
}

}  // namespace tenon::cli
