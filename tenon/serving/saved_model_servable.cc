#include "tenon/serving/saved_model_servable.h"

#include "tenon/base/log.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/saved_model/golden.h"
#include "tenon/serving/model_metrics.h"
#include "tenon/serving/request_metrics.h"

namespace tenon::serving {
namespace {

std::vector<TensorSpec> specs_of(const std::vector<SignatureTensor>& tensors) {
  std::vector<TensorSpec> specs;
  for (const SignatureTensor& tensor : tensors) {
    specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  return specs;
}

// A signature that cannot be planned is no fault of who asks for it: codes that would say so become
// INTERNAL.
Status fault_of_model(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
      return internal(message_of(status));
    default:
      return status;
  }
}

// Makes what a first run makes (memory plans, packed weights), with 1 for dimensions that the
// signature leaves open. What cannot be done ahead is done, or fails, when a request comes.
void prepare_for_one_row(Executable& executable, const tenon::Signature& signature) {
  std::vector<Shape> shapes;
  for (const SignatureTensor& input : signature.inputs) {
    if (!input.shape.has_rank()) return;
    std::vector<int64_t> dims;
    for (const int64_t dim : input.shape.dims()) dims.push_back(dim < 0 ? 1 : dim);
    const StatusOr<Shape> shape = Shape::make(dims, size_of(input.dtype));
    if (!shape.ok()) return;
    shapes.push_back(*shape);
  }
  (void)or_out_of_memory([&] { return executable.prepare(shapes); });
}

class SavedModelServable final : public Servable {
 public:
  SavedModelServable(std::shared_ptr<SavedModel> model, const SavedModelOptions& options)
      : model_(std::move(model)),
        metrics_(*options.metrics),
        manifest_(read_manifest(model_->folder()).value_or(GoldenManifest())),
        precision_(options.executable.precision) {
    for (const tenon::Signature& signature : model_->signatures()) {
      Signature& own = signatures_.emplace_back();
      own.name = signature.name;
      own.method_name = signature.method_name;
      own.inputs = specs_of(signature.inputs);
      own.outputs = specs_of(signature.outputs);
      for (const SignatureTensor& input : signature.inputs) {
        own.defaults.push_back(input.default_value);
      }
      const int64_t start = steady_microseconds();
      executables_.push_back(model_->executable(signature));
      if (executables_.back().ok() && options.prepare) {
        prepare_for_one_row(**executables_.back(), signature);
      }
      metrics_.builds.add();
      metrics_.build_microseconds.add(microseconds_since(start));
      if (const Status& status = executables_.back().status(); !status.ok()) {
        log_warning("signature ", signature.name, " of ", model_->folder(),
                    " cannot be served: ", message_of(status));
      }
    }
  }

  const std::vector<Signature>& signatures() const override { return signatures_; }

  StatusOr<std::vector<Tensor>> run(const Signature& signature, std::span<const Tensor> inputs,
                                    std::span<const int> outputs,
                                    const RunLimits& limits) const override {
    const auto index = static_cast<size_t>(&signature - signatures_.data());
    const StatusOr<std::shared_ptr<Executable>>& executable = executables_[index];
    if (!executable.ok()) return fault_of_model(executable.status());
    std::vector<Tensor> all;
    const int64_t start = steady_microseconds();
    TENON_RETURN_IF_ERROR((*executable)->run(inputs, all, limits));
    count_run(microseconds_since(start), inputs, all);
    std::vector<Tensor> selected;
    for (const int output : outputs)
      selected.push_back(std::move(all[static_cast<size_t>(output)]));
    return selected;
  }

  StatusOr<std::vector<std::vector<Tensor>>> run_together(std::span<const Part> parts,
                                                          const Tensor& input,
                                                          const RunLimits& limits) const override {
    const std::shared_ptr<Executable> joint = parts.size() > 1 ? joint_executable(parts) : nullptr;
    if (!joint) return Servable::run_together(parts, input, limits);
    std::vector<Tensor> all;
    const int64_t start = steady_microseconds();
    TENON_RETURN_IF_ERROR(joint->run(std::span(&input, 1), all, limits));
    count_run(microseconds_since(start), std::span(&input, 1), all);
    std::vector<std::vector<Tensor>> results;
    size_t first = 0;  // output of the part
    for (const Part& part : parts) {
      std::vector<Tensor>& selected = results.emplace_back();
      for (const int output : part.outputs) {
        selected.push_back(all[first + static_cast<size_t>(output)]);
      }
      first += part.signature->outputs.size();
    }
    return results;
  }

  std::string signature_def_map() const override { return model_->signature_def_map(); }
  Tolerance tolerance(std::string_view signature, std::string_view output) const override {
    return manifest_.allowed(cat(signature, "/", output), precision_);
  }

 private:
  // All outputs of all parts from the input that they share; null where they share none, or where
  // there are more such sets already than anybody needs.
  std::shared_ptr<Executable> joint_executable(std::span<const Part> parts) const {
    constexpr size_t kMostSets = 64;
    tenon::Signature joint;
    for (const Part& part : parts) {
      const tenon::Signature* const own = model_->find_signature(part.signature->name);
      if (own == nullptr || own->inputs.size() != 1) return nullptr;
      if (joint.inputs.empty()) joint.inputs = own->inputs;
      if (own->inputs[0].tensor != joint.inputs[0].tensor) return nullptr;
      joint.name += cat(joint.name.empty() ? "" : " with ", own->name);
      for (SignatureTensor output : own->outputs) {
        output.name = cat(own->name, "/", output.name);
        joint.outputs.push_back(std::move(output));
      }
    }
    const std::lock_guard lock(mutex_);
    const auto found = joint_.find(joint.name);
    if (found != joint_.end()) return found->second;
    if (joint_.size() >= kMostSets) return nullptr;
    StatusOr<std::shared_ptr<Executable>> made = model_->executable(joint);
    return joint_[joint.name] = made.ok() ? *std::move(made) : nullptr;
  }

  void count_run(int64_t took, std::span<const Tensor> inputs,
                 std::span<const Tensor> outputs) const {
    const auto bytes_of = [](std::span<const Tensor> tensors) {
      size_t bytes = 0;
      for (const Tensor& tensor : tensors) bytes += tensor.num_bytes();
      return static_cast<double>(bytes);
    };
    metrics_.runs.add();
    metrics_.session_runs.add();
    metrics_.run_microseconds.add(took);
    metrics_.run_times.observe(static_cast<double>(took));
    metrics_.input_bytes.observe(bytes_of(inputs));
    metrics_.output_bytes.observe(bytes_of(outputs));
  }

  const std::shared_ptr<SavedModel> model_;
  const GraphMetrics metrics_;
  const GoldenManifest manifest_;
  const Precision precision_;
  std::vector<Signature> signatures_;
  std::vector<StatusOr<std::shared_ptr<Executable>>> executables_;  // one a signature
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<Executable>> joint_;  // guarded by mutex_
};

Status check_goldens(const SavedModel& model, const SavedModelOptions& options) {
  if (options.golden == GoldenMode::kOff) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const GoldenReport report,
                         replay_goldens(model, options.executable.precision));
  for (const auto& [signature, reason] : report.exempt) {
    log_info("golden records of signature ", signature, " of ", model.folder(),
             " are not compared: ", reason);
  }
  for (const OutputDrift& output : report.outputs) {
    if (output.passed) continue;
    const Status status = failed_precondition(
        "golden records of ", model.folder(), " are missed: record ", output.record, ", signature ",
        output.signature, ", output ", output.output, ": ", message_of(output.status));
    if (options.golden == GoldenMode::kRefuse) return status;
    log_warning(message_of(status));
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::shared_ptr<const Servable>> load_saved_model(const std::string& folder,
                                                           const SavedModelOptions& options) {
  LoadOptions load;
  load.tags = options.tags;
  load.executable = options.executable;
  int64_t start = steady_microseconds();
  TENON_ASSIGN_OR_RETURN(std::shared_ptr<SavedModel> model, SavedModel::load(folder, load));
  observe_load_stage(*options.metrics, folder, "restore_graph", microseconds_since(start));
  TENON_RETURN_IF_ERROR(check_goldens(*model, options));
  start = steady_microseconds();
  auto servable = std::make_shared<const SavedModelServable>(std::move(model), options);
  observe_load_stage(*options.metrics, folder, "init_graph", microseconds_since(start));
  return servable;
}

}  // namespace tenon::serving
