#include "tenon/cli/bench.h"
#include "tenon/cli/flags.h"
#include "tenon/core/device.h"
#include "tenon/keras/callbacks.h"

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

// One batch again and again.
class OneBatch final : public data::Dataset {
 public:
  explicit OneBatch(data::Element batch) : batch_(std::move(batch)) {}
  StatusOr<std::unique_ptr<data::Iterator>> iterate(uint64_t) const override {
    class Again final : public data::Iterator {
     public:
      explicit Again(const data::Element& batch) : batch_(batch) {}
      StatusOr<bool> next(data::Element& element) override {
        element = batch_;
        return true;
      }

     private:
      const data::Element& batch_;
    };
    return std::make_unique<Again>(batch_);
  }
  int64_t size() const override { return -1; }

 private:
  const data::Element batch_;
};

// Notes when steps end, as seen from the host, and ends the training when it is time.
class StepClock final : public keras::Callback {
 public:
  StepClock(double seconds, BenchTimes& times) : seconds_(seconds), times_(times) {}
  Status on_batch_end(keras::Model& model, int64_t step,
                      const keras::RunningMeans& means) override {
    // The steps that plan, and fill what holds batches ahead.
    if (step < kBefore) {
      TENON_RETURN_IF_ERROR(means.read().status());
      if (step == 0) times_.first_ms = milliseconds_since(last_);
      last_ = begin_ = std::chrono::steady_clock::now();
      return absl::OkStatus();
    }
    times_.step_ms.push_back(milliseconds_since(last_));
    last_ = std::chrono::steady_clock::now();
    model.stop_training = milliseconds_since(begin_) >= seconds_ * 1e3 && step >= 2 * kBefore;
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kBefore = 5;
  const double seconds_;
  BenchTimes& times_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now(), begin_;
};

// As fit() trains on a device: batches come from host memory and are copied beside the steps, whose
// loss nobody looks at.
Status measure_fit(keras::Model& model, data::Element batch, double seconds, BenchTimes& times) {
  keras::FitOptions options;
  options.steps_per_epoch = INT64_MAX;
  options.verbose = 0;
  options.callbacks = {std::make_shared<StepClock>(seconds, times)};
  return model.fit(std::make_shared<OneBatch>(std::move(batch)), std::move(options)).status();
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
  if (options.strategy || DeviceRegistry::global().preferred()->host_accessible()) {
    TENON_RETURN_IF_ERROR(measure_steps(flags.seconds, step, times));
  } else {
    data::Element batch(x.begin(), x.end());
    batch.insert(batch.end(), y.begin(), y.end());
    TENON_RETURN_IF_ERROR(measure_fit(*model, std::move(batch), flags.seconds, times));
  }
  BenchProfile profile;
  if (flags.profile) TENON_RETURN_IF_ERROR(profile_steps(flags.seconds, step, profile));
  print(bench_report(std::move(times), profile, flags.json));
  return absl::OkStatus();
}

}  // namespace tenon::cli
