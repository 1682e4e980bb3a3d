#include "tenon/serving/saved_model_servable.h"

#include "tenon/base/log.h"
#include "tenon/core/host_memory.h"
#include "tenon/saved_model/golden.h"
#include "tenon/serving/memory/planned_signature.h"
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

Device* device_of(const ExecutableOptions& options) {
  return options.device != nullptr ? options.device : DeviceRegistry::global().preferred();
}

class SavedModelServable final : public Servable {
 public:
  SavedModelServable(std::shared_ptr<SavedModel> model, const SavedModelOptions& options)
      : model_(std::move(model)),
        metrics_(*options.metrics),
        manifest_(read_manifest(model_->folder()).value_or(GoldenManifest())),
        precision_(options.executable.precision),
        on_processor_(device_of(options.executable) == cpu_device()),
        memory_(options.memory) {
    for (const tenon::Signature& signature : model_->signatures()) {
      Signature& own = signatures_.emplace_back();
      own.name = signature.name;
      own.method_name = signature.method_name;
      own.inputs = specs_of(signature.inputs);
      own.outputs = specs_of(signature.outputs);
      for (const SignatureTensor& input : signature.inputs) {
        own.defaults.push_back(input.default_value);
      }
      planned_.push_back(planned_signature(signature));
      const int64_t start = steady_microseconds();
      const Status status = planned_.back()->plan(options.prepare);
      metrics_.builds.add();
      metrics_.build_microseconds.add(microseconds_since(start));
      if (!status.ok()) {
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
    std::vector<Tensor> all;
    TENON_RETURN_IF_ERROR(run(*planned_[index], inputs, all, limits));
    std::vector<Tensor> selected;
    for (const int output : outputs)
      selected.push_back(std::move(all[static_cast<size_t>(output)]));
    return selected;
  }

  StatusOr<std::vector<std::vector<Tensor>>> run_together(std::span<const Part> parts,
                                                          const Tensor& input,
                                                          const RunLimits& limits) const override {
    const std::shared_ptr<PlannedSignature> joint =
        parts.size() > 1 ? joint_signature(parts) : nullptr;
    if (!joint) return Servable::run_together(parts, input, limits);
    std::vector<Tensor> all;
    TENON_RETURN_IF_ERROR(run(*joint, std::span(&input, 1), all, limits));
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

  bool merges_rows(const Signature& signature) const override {
    // The kernels that promise it: those of the processor, in float32.
    const auto index = static_cast<size_t>(&signature - signatures_.data());
    return on_processor_ && precision_ == Precision::kFloat32 && planned_[index]->merges_rows();
  }

  int64_t last_used() const override {
    int64_t last = 0;
    for (const auto& each : planned_) last = std::max(last, each->last_used());
    return last;
  }

  std::string signature_def_map() const override { return model_->signature_def_map(); }
  Tolerance tolerance(std::string_view signature, std::string_view output) const override {
    return manifest_.allowed(cat(signature, "/", output), precision_);
  }

 private:
  // All outputs of all parts from the input that they share; null where they share none, or where
  // there are more such sets already than anybody needs.
  std::shared_ptr<PlannedSignature> joint_signature(std::span<const Part> parts) const {
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
    std::shared_ptr<PlannedSignature> made = planned_signature(joint);
    const Status status = made->plan(false);
    if (absl::IsResourceExhausted(status)) return nullptr;  // another time
    return joint_[joint.name] = status.ok() ? std::move(made) : nullptr;
  }

  std::shared_ptr<PlannedSignature> planned_signature(const tenon::Signature& signature) const {
    auto made = std::make_shared<PlannedSignature>(model_, signature, memory_ != nullptr);
    if (memory_) memory_->add(made);
    return made;
  }

  // A run that lacks memory is made again once others have given theirs back.
  Status run(PlannedSignature& planned, std::span<const Tensor> inputs, std::vector<Tensor>& all,
             const RunLimits& limits) const {
    const int64_t start = steady_microseconds();
    Status status = planned.run(inputs, all, limits);
    if (memory_ && absl::IsResourceExhausted(status)) {
      const size_t refused = take_refused_host_memory();
      const bool again =
          !planned.has_effects() && memory_->make_room(refused, MemoryKeeper::For::kRun);
      if (again) status = planned.run(inputs, all, limits);
      if (absl::IsResourceExhausted(status)) {
        memory_->count_refusal("run");
        return resource_exhausted(message_of(status), " (--memory_limit is ", memory_->limit(),
                                  " bytes)");
      }
    }
    if (status.ok()) count_run(microseconds_since(start), inputs, all);
    return status;
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
  const bool on_processor_;
  std::vector<Signature> signatures_;
  const std::shared_ptr<MemoryKeeper> memory_;              // null: there is no limit
  std::vector<std::shared_ptr<PlannedSignature>> planned_;  // one a signature
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<PlannedSignature>> joint_;  // guarded by mutex_
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
