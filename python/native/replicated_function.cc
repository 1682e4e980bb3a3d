#include "python/native/replicated_function.h"

#include "tenon/dist/replica_group.h"
#include "tenon/dist/replica_team.h"
#include "tenon/runtime/plugin/plugin_group.h"

namespace tenon::python {
namespace {

constexpr std::string_view kGroup = "python/replicas";

// Puts what the process has under that name into a replica's state.
StatusOr<Ref<Variable>> share(ModelState& from, ModelState& to, const std::string& name) {
  const Ref<Variable> variable = from.variable(name);
  if (!variable) return not_found("there is no variable ", name);
  const auto existing = [&]() -> StatusOr<Ref<Object>> { return Ref<Object>(variable); };
  TENON_RETURN_IF_ERROR(to.find_or_create("", name, existing).status());
  return variable;
}

}  // namespace

// How the replicas on some devices meet, for all functions over these devices.
struct ReplicatedFunction::Group {
  explicit Group(int size) : by_host(size) {}

  Status install(int rank, ModelState& state) {
    if (by_device.empty()) return by_host.install(rank, kGroup, state);
    const auto place = [&]() -> StatusOr<Ref<Object>> {
      return Ref<Object>(by_device[static_cast<size_t>(rank)]);
    };
    return state.find_or_create("", kGroup, place).status();
  }

  std::mutex running;
  std::vector<Ref<DeviceCommunicator>> by_device;
  dist::ReplicaGroup by_host;
  std::unique_ptr<dist::ReplicaTeam> team;
  bool failed = false;
};

StatusOr<std::shared_ptr<ReplicatedFunction::Group>> ReplicatedFunction::group_of(
    const std::vector<Device*>& devices) {
  static auto* mutex = new std::mutex;
  static auto* groups = new std::map<std::vector<Device*>, std::shared_ptr<Group>>;
  const std::lock_guard lock(*mutex);
  std::shared_ptr<Group>& group = (*groups)[devices];
  if (group && !group->failed) return group;
  const auto size = static_cast<int>(devices.size());
  auto made = std::make_shared<Group>(size);
  TENON_ASSIGN_OR_RETURN(made->by_device, open_device_group(devices));
  TENON_ASSIGN_OR_RETURN(made->team, dist::ReplicaTeam::create(size));
  group = std::move(made);
  return group;
}

ReplicatedFunction::~ReplicatedFunction() = default;

StatusOr<std::unique_ptr<ReplicatedFunction>> ReplicatedFunction::create(
    const Graph& whole, std::vector<std::string> places, std::vector<Device*> devices,
    std::shared_ptr<ModelState> state, const FileAccess* files) {
  std::unique_ptr<ReplicatedFunction> made(new ReplicatedFunction);
  made->devices_ = std::move(devices);
  made->state_ = std::move(state);
  made->files_ = files;
  TENON_ASSIGN_OR_RETURN(made->group_, group_of(made->devices_));
  TENON_ASSIGN_OR_RETURN(made->graphs_,
                         split_replicas(whole, places, kGroup, !made->group_->by_device.empty()));
  TENON_RETURN_IF_ERROR(made->prepare());
  if (!made->graphs_.rest.results.empty()) {
    ExecutableOptions options;
    options.device = cpu_device();
    TENON_ASSIGN_OR_RETURN(
        made->rest_,
        Executable::create(made->graphs_.rest, std::make_shared<ModelState>(), options));
  }
  return made;
}

Status ReplicatedFunction::prepare() {
  TENON_ASSIGN_OR_RETURN(group_, group_of(devices_));
  states_.clear();
  steps_.clear();
  variables_.clear();
  for (size_t rank = 0; rank < devices_.size(); ++rank) {
    auto state = std::make_shared<ModelState>();
    TENON_RETURN_IF_ERROR(group_->install(static_cast<int>(rank), *state));
    for (const std::string& name : graphs_.variables[rank]) {
      TENON_ASSIGN_OR_RETURN(Ref<Variable> variable, share(*state_, *state, name));
      variables_.push_back(std::move(variable));
    }
    ExecutableOptions options;
    options.device = devices_[rank];
    options.files = files_;
    auto step = Executable::create(graphs_.replicas[rank].graph, state, options);
    if (!step.ok()) {
      steps_.clear();
      return step.status();
    }
    states_.push_back(std::move(state));
    steps_.push_back(*std::move(step));
  }
  return absl::OkStatus();
}

Status ReplicatedFunction::run_replicas(std::span<const Tensor> args) {
  given_.resize(devices_.size());
  results_.resize(devices_.size());
  for (size_t rank = 0; rank < devices_.size(); ++rank) {
    given_[rank].clear();
    for (size_t index : graphs_.replicas[rank].args) given_[rank].push_back(args[index]);
  }
  std::vector<uint64_t> versions;
  for (const Ref<Variable>& variable : variables_) versions.push_back(variable->version());
  const Status status = group_->team->run(
      [&](int rank) {
        const auto at = static_cast<size_t>(rank);
        return steps_[at]->run(given_[at], results_[at]);
      },
      [&](const Status& failed) {
        if (!group_->by_device.empty()) group_->by_device[0]->abort();
        group_->by_host.fail(failed);
      });
  for (std::vector<Tensor>& given : given_) given.clear();
  group_->by_host.reset();
  if (status.ok() || group_->by_device.empty()) return status;
  // Devices that have failed to meet once do not meet again. What was written of sums with a part
  // of the one that failed may be anything.
  group_->failed = true;
  steps_.clear();
  for (size_t i = 0; i < variables_.size(); ++i) {
    if (variables_[i]->version() != versions[i]) variables_[i]->clear();
  }
  return status;
}

Status ReplicatedFunction::run_rest(std::span<const Tensor> args, std::vector<Tensor>& results) {
  std::vector<Tensor> made;
  if (rest_) {
    std::vector<Tensor> given;
    for (const ReplicaValue& from : graphs_.rest_args) {
      given.push_back(from.replica < 0 ? args[from.index]
                                       : results_[static_cast<size_t>(from.replica)][from.index]);
    }
    TENON_RETURN_IF_ERROR(rest_->run(given, made));
  }
  results.clear();
  for (const ReplicaValue& from : graphs_.results) {
    results.push_back(from.replica < 0 ? made[from.index]
                                       : results_[static_cast<size_t>(from.replica)][from.index]);
  }
  return absl::OkStatus();
}

Status ReplicatedFunction::run(std::span<const Tensor> args, std::vector<Tensor>& results) {
  const std::shared_ptr<Group> group = group_;
  const std::lock_guard alone(group->running);
  if (group->failed || steps_.empty()) {
    TENON_RETURN_IF_ERROR(prepare());
  }
  // What others are writing of the process' variables comes before, what they will write after.
  const std::lock_guard writes(state_->writers());
  if (const std::shared_ptr<Completion>& last = state_->last_write()) {
    TENON_RETURN_IF_ERROR(last->wait());
  }
  TENON_RETURN_IF_ERROR(run_replicas(args));
  const Status status = run_rest(args, results);
  for (std::vector<Tensor>& of_replica : results_) of_replica.clear();
  return status;
}

}  // namespace tenon::python
