#include "tenon/cli/training_checkpoint.h"

#include <ctime>

#include "tenon/base/lanes.h"
#include "tenon/base/log.h"
#include "tenon/core/device.h"
#include "tenon/io/checkpoint_state.h"
#include "tenon/io/tensor_bundle.h"

namespace tenon::cli {
namespace {

constexpr size_t kKept = 3;
constexpr std::string_view kEpochsKey = "tenon/epochs", kIsaKey = "tenon/isa",
                           kThreadsKey = "tenon/threads";

// The variable of a weight under the name that TensorFlow's checkpoints give to values.
std::string key_of(const keras::Weight& weight) {
  return cat(weight.path, "/.ATTRIBUTES/VARIABLE_VALUE");
}

Status write_bundle(const keras::Model& model, const std::string& prefix) {
  TENON_ASSIGN_OR_RETURN(const auto writer, BundleWriter::create(prefix));
  for (const keras::Weight* weight : model.checkpoint_variables()) {
    TENON_ASSIGN_OR_RETURN(const Tensor value, weight->variable->read());
    TENON_RETURN_IF_ERROR(writer->add(key_of(*weight), value));
  }
  TENON_RETURN_IF_ERROR(writer->add(kEpochsKey, Tensor::scalar<int64_t>(model.epochs_done())));
  TENON_RETURN_IF_ERROR(writer->add(kIsaKey, Tensor::string(cpu_device()->description())));
  TENON_RETURN_IF_ERROR(
      writer->add(kThreadsKey, Tensor::scalar<int64_t>(Lanes::configured_threads())));
  return writer->finish();
}

Status remove_bundle(const std::string& prefix) {
  TENON_RETURN_IF_ERROR(remove_tree(prefix + ".index"));
  return remove_tree(prefix + ".data-00000-of-00001");
}

// Names `prefix` as the newest, and drops what is older than the last kKept.
Status record_newest(const std::string& folder, const std::string& name) {
  CheckpointState state;
  if (path_exists(join_path(folder, "checkpoint"))) {
    TENON_ASSIGN_OR_RETURN(state, read_checkpoint_state(folder));
  }
  auto& paths = state.all_model_checkpoint_paths;
  auto& times = state.all_model_checkpoint_timestamps;
  times.resize(paths.size());
  if (const auto it = std::find(paths.begin(), paths.end(), name); it != paths.end()) {
    times.erase(times.begin() + (it - paths.begin()));
    paths.erase(it);
  }
  state.model_checkpoint_path = name;
  paths.push_back(name);
  times.push_back(static_cast<double>(std::time(nullptr)));
  std::vector<std::string> dropped;
  while (paths.size() > kKept) {
    dropped.push_back(paths.front());
    paths.erase(paths.begin());
    times.erase(times.begin());
  }
  TENON_RETURN_IF_ERROR(write_checkpoint_state(folder, state));
  for (const std::string& old : dropped) {
    TENON_RETURN_IF_ERROR(remove_bundle(join_path(folder, old)));
  }
  return absl::OkStatus();
}

class CheckpointCallback final : public keras::Callback {
 public:
  explicit CheckpointCallback(std::string folder) : folder_(std::move(folder)) {}
  Status on_train_begin(keras::Model&) override { return create_directories(folder_); }
  Status on_epoch_end(keras::Model& model, int64_t epoch, keras::Logs&) override {
    const std::string name = cat("ckpt-", epoch + 1);
    TENON_RETURN_IF_ERROR(
        with_context(write_bundle(model, join_path(folder_, name)), "writing a checkpoint"));
    return record_newest(folder_, name);
  }

 private:
  std::string folder_;
};

Status warn_of_differences(const BundleReader& bundle) {
  TENON_ASSIGN_OR_RETURN(const Tensor isa, bundle.read(kIsaKey));
  TENON_ASSIGN_OR_RETURN(const Tensor threads, bundle.read(kThreadsKey));
  const int64_t here = Lanes::configured_threads();
  if (*isa.data<std::string_view>() != cpu_device()->description()) {
    log_warning("the checkpoint was made on ", *isa.data<std::string_view>(),
                ", this machine is ", cpu_device()->description(), ": bits will differ");
  }
  if (*threads.data<int64_t>() != here) {
    log_warning("the checkpoint was made with --threads=", *threads.data<int64_t>(),
                ", now it is ", here, ": bits will differ");
  }
  return absl::OkStatus();
}

// Has `value` the dtype and shape that `weight` needs?
Status check_fits(const keras::Weight& weight, const Tensor& value) {
  if (value.dtype() == weight.dtype && value.shape() == weight.shape) return absl::OkStatus();
  return invalid_argument("variable ", weight.path, " is ", value.dtype(), " ", value.shape(),
                          " in the checkpoint, the model has ", weight.dtype, " ", weight.shape);
}

}  // namespace

keras::CallbackPtr checkpoint_callback(const std::string& folder) {
  return std::make_shared<CheckpointCallback>(folder);
}

StatusOr<int64_t> resume_training(keras::Model& model, const std::string& folder) {
  if (!path_exists(join_path(folder, "checkpoint"))) return 0;
  TENON_ASSIGN_OR_RETURN(const std::string prefix, latest_checkpoint(folder));
  TENON_ASSIGN_OR_RETURN(const auto bundle, BundleReader::open(prefix));
  const std::vector<keras::Weight*> weights = model.checkpoint_variables();
  std::vector<Tensor> values;
  for (const keras::Weight* weight : weights) {
    StatusOr<Tensor> value = bundle->read(key_of(*weight));
    if (!value.ok()) return with_context(value.status(), cat("resuming from ", prefix));
    TENON_RETURN_IF_ERROR(check_fits(*weight, *value));
    values.push_back(*std::move(value));
  }
  TENON_ASSIGN_OR_RETURN(const Tensor epochs, bundle->read(kEpochsKey));
  if (epochs.dtype() != DType::kInt64 || epochs.num_elements() != 1) {
    return data_loss(prefix, ": ", kEpochsKey, " is no number");
  }
  TENON_RETURN_IF_ERROR(warn_of_differences(*bundle));
  for (size_t i = 0; i < weights.size(); ++i) {
    TENON_RETURN_IF_ERROR(weights[i]->variable->assign(std::move(values[i])));
  }
  model.set_epochs_done(*epochs.data<int64_t>());
  return model.epochs_done();
}

}  // namespace tenon::cli
