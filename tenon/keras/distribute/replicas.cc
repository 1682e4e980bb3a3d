#include "tenon/keras/distribute/replicas.h"

#include <cstring>

#include "tenon/graph/all_reduce.h"
#include "tenon/kernels/philox.h"

namespace tenon::keras {
namespace {

constexpr std::string_view kGradientsGroup = "replicas/gradients";
constexpr std::string_view kLayersGroup = "replicas/layers";
constexpr uint64_t kNeverSeen = UINT64_MAX;

// Random layers draw other numbers in each replica: the seed is another one, the count of draws the
// same.
Tensor seed_state_of(const Tensor& primary, int rank) {
  const int64_t seed = primary.data<int64_t>()[0], draws = primary.data<int64_t>()[1];
  auto generator = kernels::Philox::from_stateless_seed(static_cast<uint64_t>(seed),
                                                        static_cast<uint64_t>(rank));
  const int64_t state[] = {static_cast<int64_t>(generator.next()[0] & 0x7fffffff), draws};
  return Tensor::vector<int64_t>(state);
}

bool is_aligned(const Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.raw()) % kAlignment == 0;
}

// Rows [begin, begin + count), in `staging` where they lie so that kernels would not take them.
Tensor take_rows(const Tensor& whole, int64_t begin, int64_t count, Tensor& staging) {
  Tensor part = whole.slice(begin, count);
  if (is_object(part.dtype()) || is_aligned(part)) return part;
  const bool fits = staging.has_value() && staging.dtype() == part.dtype() &&
                    staging.shape() == part.shape() && staging.writable();
  if (!fits) staging = Tensor(part.dtype(), part.shape());
  std::memcpy(staging.mutable_raw(), part.raw(), part.num_bytes());
  return staging;
}

}  // namespace

// As Keras' scale_loss_for_distribution(): the sum of all replicas' is the mean of their losses.
// Devices that sum themselves add the gradients of every replica: those of one without rows are 0.
Endpoint share_of_loss(Trace& trace, Endpoint loss) {
  GraphBuilder& g = trace.build();
  const Replication& others = *trace.replication();
  if (others.replicas == 1) return loss;
  Endpoint share = g.scalar_of(DType::kFloat, 1.0 / others.replicas);
  if (sums_on_device(g, others.gradients)) {
    share = g.op("SelectV2", {others.present, share, g.scalar_of(DType::kFloat, 0)});
  }
  return g.mul(loss, share);
}

std::vector<Endpoint> sum_gradients(Trace& trace, std::span<const Endpoint> gradients,
                                    std::span<Weight* const> weights, int64_t bucket_bytes,
                                    bool all_count) {
  GraphBuilder& g = trace.build();
  struct Bucket {
    std::vector<size_t> members;
    int64_t bytes = 0;
  };
  std::vector<Bucket> buckets;
  std::map<DType, size_t> open;  // the bucket of each dtype that is being filled
  for (size_t i = gradients.size(); i-- > 0;) {
    if (!gradients[i]) continue;
    const DType dtype = g.dtype(gradients[i]);
    const auto bytes = static_cast<int64_t>(weights[i]->shape.num_bytes(size_of(dtype)));
    const auto [it, fresh] = open.try_emplace(dtype, buckets.size());
    if (!fresh && buckets[it->second].bytes + bytes > bucket_bytes) it->second = buckets.size();
    if (it->second == buckets.size()) buckets.emplace_back();
    buckets[it->second].members.push_back(i);
    buckets[it->second].bytes += bytes;
  }
  const Replication& others = *trace.replication();
  Endpoint present = all_count ? g.scalar(true) : others.present;
  if (sums_on_device(g, others.gradients)) present = {};
  std::vector<AllReduce> started;
  for (const Bucket& bucket : buckets) {
    std::vector<Endpoint> values;
    for (size_t i : bucket.members) values.push_back(gradients[i]);
    started.push_back(start_all_reduce(g, others.gradients, present, std::move(values),
                                       cat("bucket_", started.size()), false));
  }
  std::vector<Endpoint> sums(gradients.size());
  for (size_t b = 0; b < buckets.size(); ++b) {
    const std::vector<Endpoint> results = finish_all_reduce(g, started[b]);
    for (size_t i = 0; i < results.size(); ++i) sums[buckets[b].members[i]] = results[i];
  }
  return sums;
}

void average_statistics(Trace& trace, std::span<Weight* const> weights) {
  std::map<DType, std::vector<const Weight*>> written;
  for (const Weight* weight : weights) {
    const bool counts = weight->kind == WeightKind::kNonTrainable && is_floating(weight->dtype);
    if (counts && trace.has_written(*weight)) written[weight->dtype].push_back(weight);
  }
  for (const auto& [dtype, of_dtype] : written) {
    std::vector<Endpoint> values;
    for (const Weight* weight : of_dtype) values.push_back(trace.read_stored(*weight));
    const std::vector<Endpoint> means = trace.all_reduce(std::move(values), true);
    for (size_t i = 0; i < of_dtype.size(); ++i) trace.assign(*of_dtype[i], means[i]);
  }
}

Replicas::Replicas(const MirroredStrategy& strategy, std::vector<Weight*> mirrored)
    : devices_(strategy.devices()),
      gradients_(static_cast<int>(devices_.size())),
      layers_(static_cast<int>(devices_.size())),
      workers_(strategy.workers()),
      mirrored_(std::move(mirrored)),
      seen_(mirrored_.size(), kNeverSeen) {}

StatusOr<std::unique_ptr<Replicas>> Replicas::create(const MirroredStrategy& strategy,
                                                     std::shared_ptr<ModelState> primary,
                                                     std::vector<Weight*> mirrored) {
  for (const Weight* weight : mirrored) {
    if (weight->kind == WeightKind::kState) {
      return unimplemented("'", weight->path,
                           "' is the state of a stateful layer, which keeps one for each row and "
                           "is not split among replicas");
    }
  }
  std::unique_ptr<Replicas> made(new Replicas(strategy, std::move(mirrored)));
  const int size = static_cast<int>(strategy.devices().size());
  TENON_ASSIGN_OR_RETURN(made->team_, dist::ReplicaTeam::create(size));
  for (int rank = 0; rank < size; ++rank) {
    made->states_.push_back(rank == 0 ? std::move(primary) : std::make_shared<ModelState>());
    ModelState& state = *made->states_.back();
    made->copies_.emplace_back();
    for (const Weight* weight : made->mirrored_) {
      if (rank == 0) continue;
      auto copy = make_ref<Variable>(weight->path, weight->dtype, weight->shape);
      const auto existing = [&]() -> StatusOr<Ref<Object>> { return Ref<Object>(copy); };
      TENON_RETURN_IF_ERROR(state.find_or_create("", weight->path, existing).status());
      made->copies_.back().push_back(std::move(copy));
    }
  }
  TENON_RETURN_IF_ERROR(made->meet());
  made->local_.resize(static_cast<size_t>(size));
  made->args_.resize(static_cast<size_t>(size));
  made->results_.resize(static_cast<size_t>(size));
  made->staging_.resize(static_cast<size_t>(size));
  return made;
}

// Devices have one group for gradients and layers, so that all enqueue its reductions in one order.
Status Replicas::meet() {
  for (const std::shared_ptr<ModelState>& state : states_) {
    // Of an earlier compile(), or a group that has failed.
    for (std::string_view group : {kGradientsGroup, kLayersGroup}) {
      if (state->find("", group)) TENON_RETURN_IF_ERROR(state->remove("", group));
    }
  }
  if (workers_) {
    TENON_RETURN_IF_ERROR(workers_->install(kGradientsGroup, *states_[0]));
    return workers_->install(kLayersGroup, *states_[0]);
  }
  TENON_ASSIGN_OR_RETURN(group_, open_device_group(devices_));
  for (size_t rank = 0; rank < states_.size(); ++rank) {
    ModelState& state = *states_[rank];
    if (!group_.empty()) {
      const auto place = [&]() -> StatusOr<Ref<Object>> { return Ref<Object>(group_[rank]); };
      TENON_RETURN_IF_ERROR(state.find_or_create("", kGradientsGroup, place).status());
      continue;
    }
    const int number = static_cast<int>(rank);
    TENON_RETURN_IF_ERROR(gradients_.install(number, kGradientsGroup, state));
    TENON_RETURN_IF_ERROR(layers_.install(number, kLayersGroup, state));
  }
  return absl::OkStatus();
}

void Replicas::describe(Trace& trace) const {
  GraphBuilder& g = trace.build();
  Replication others;
  others.replicas = all_replicas();
  others.present = g.arg("present", DType::kBool, PartialShape(Shape()));
  const bool on_device = !group_.empty();
  others.gradients = communicator(g, kGradientsGroup, on_device);
  others.layers = on_device ? others.gradients : communicator(g, kLayersGroup);
  trace.set_replication(others);
}

// A replica without rows in this step has counted those of others.
std::vector<Endpoint> Replicas::sum_over_workers(Trace& trace, std::vector<Endpoint> counts) const {
  if (!workers_ || counts.empty()) return counts;
  GraphBuilder& g = trace.build();
  const Endpoint always = g.constant(Tensor::scalar(true));
  std::map<DType, std::vector<size_t>> of_dtype;
  for (size_t i = 0; i < counts.size(); ++i) of_dtype[g.dtype(counts[i])].push_back(i);
  for (const auto& [dtype, places] : of_dtype) {
    std::vector<Endpoint> values;
    for (const size_t i : places) values.push_back(counts[i]);
    const AllReduce started =
        start_all_reduce(g, trace.replication()->layers, always, std::move(values),
                         cat("counts_", to_string(dtype)), false);
    const std::vector<Endpoint> found = finish_all_reduce(g, started);
    for (size_t i = 0; i < found.size(); ++i) counts[places[i]] = found[i];
  }
  return counts;
}

Status Replicas::set_local(std::span<Weight* const> weights) {
  local_weights_.assign(weights.begin(), weights.end());
  for (size_t rank = 0; rank < states_.size(); ++rank) {
    local_[rank].clear();
    for (const Weight* weight : weights) {
      if (rank > 0) {
        TENON_RETURN_IF_ERROR(states_[rank]->set_variable(weight->path, zeros_of(*weight)));
      }
      local_[rank].push_back(states_[rank]->variable(weight->path));
    }
  }
  return absl::OkStatus();
}

Status Replicas::reset_local() {
  for (const std::vector<Ref<Variable>>& of_replica : local_) {
    for (size_t i = 0; i < of_replica.size(); ++i) {
      TENON_RETURN_IF_ERROR(of_replica[i]->assign(zeros_of(*local_weights_[i])));
    }
  }
  return absl::OkStatus();
}

Status Replicas::set_step(const Graph& graph) {
  if (workers_) {
    const std::string text = to_string(graph);
    TENON_RETURN_IF_ERROR(
        workers_->agree("step", cat("a training step of ", graph.size(), " ops\na training step ",
                                    std::hash<std::string>()(text))));
  }
  step_ = graph;
  return make_steps();
}

Status Replicas::make_steps() {
  steps_.clear();
  TENON_RETURN_IF_ERROR(mirror());
  for (size_t rank = 0; rank < states_.size(); ++rank) {
    ExecutableOptions options;
    options.device = devices_[rank];
    auto step = Executable::create(step_, states_[rank], options);
    if (!step.ok()) {
      steps_.clear();
      return step.status();
    }
    steps_.push_back(*std::move(step));
  }
  return absl::OkStatus();
}

// The chief's values are the only ones that count in this sum.
Status Replicas::take_weights_of_chief() {
  const Ref<Communicator> all = workers_->communicator("weights");
  std::vector<Tensor> values;
  for (const Weight* weight : mirrored_) {
    TENON_ASSIGN_OR_RETURN(Tensor value, weight->variable->read());
    values.push_back(std::move(value));
  }
  const bool is_chief = workers_->rank() == 0;
  TENON_ASSIGN_OR_RETURN(const Ref<PendingReduction> pending,
                         all->start("", Reduction::kSum, is_chief, std::move(values)));
  TENON_ASSIGN_OR_RETURN(const std::span<const Tensor> found, pending->wait());
  for (size_t i = 0; i < mirrored_.size() && !is_chief; ++i) {
    Tensor own = mirrored_[i]->kind == WeightKind::kSeed ? seed_state_of(found[i], workers_->rank())
                                                         : found[i].clone();
    TENON_RETURN_IF_ERROR(mirrored_[i]->variable->assign(std::move(own)));
  }
  has_met_chief_ = true;
  return absl::OkStatus();
}

Status Replicas::mirror() {
  if (workers_) return has_met_chief_ ? absl::OkStatus() : take_weights_of_chief();
  for (size_t i = 0; i < mirrored_.size(); ++i) {
    const Variable& primary = *mirrored_[i]->variable;
    const uint64_t version = primary.version();
    if (version == seen_[i]) continue;
    TENON_ASSIGN_OR_RETURN(const Tensor value, primary.read());
    for (size_t rank = 1; rank < copies_.size(); ++rank) {
      Tensor copy = mirrored_[i]->kind == WeightKind::kSeed
                        ? seed_state_of(value, static_cast<int>(rank))
                        : value.clone();
      TENON_RETURN_IF_ERROR(copies_[rank][i]->assign(std::move(copy)));
    }
    seen_[i] = version;
  }
  return absl::OkStatus();
}

void Replicas::split(std::span<const Tensor> batch) {
  const int64_t rows = batch[0].dim(0), replicas = all_replicas();
  const int64_t share = (rows + replicas - 1) / replicas;
  const int64_t first = workers_ ? int64_t{workers_->rank()} * size() : 0;
  for (int64_t rank = 0; rank < size(); ++rank) {
    int64_t begin = std::min((first + rank) * share, rows);
    int64_t count = std::min(share, rows - begin);
    const bool present = count > 0;
    if (!present) begin = 0, count = 1;
    std::vector<Tensor>& args = args_[static_cast<size_t>(rank)];
    std::vector<Tensor>& staging = staging_[static_cast<size_t>(rank)];
    args.clear();
    staging.resize(batch.size());
    for (size_t i = 0; i < batch.size(); ++i) {
      args.push_back(take_rows(batch[i], begin, count, staging[i]));
    }
    args.push_back(Tensor::scalar(present));
  }
}

// Called by the replica that has failed, so that the others do not wait for it.
void Replicas::fail(const Status& status) {
  if (!group_.empty()) group_[0]->abort();
  if (workers_) workers_->fail(status);
  gradients_.fail(status);
  layers_.fail(status);
}

// When no replica is within the step any more. A group of devices that has failed is of no use, nor
// is work that was captured with it: the next step makes both anew. Nor are values that were
// computed of sums with a part of the failing replica's, which may be anything.
void Replicas::end_failure(const Status& status) {
  if (!status.ok() && !group_.empty()) {
    steps_.clear();
    group_.clear();
    for (size_t i = 0; i < mirrored_.size(); ++i) {
      Variable& variable = *mirrored_[i]->variable;
      // One that was not written may have been moved to the device by work that failed.
      const bool is_own = variable.version() == seen_[i] || mirrored_[i]->kind == WeightKind::kSeed;
      if (!is_own || !variable.read().ok()) variable.clear();
    }
  }
  gradients_.reset();
  layers_.reset();
}

Status Replicas::run(std::span<const Tensor> batch) {
  if (steps_.empty()) {
    TENON_RETURN_IF_ERROR(meet());
    TENON_RETURN_IF_ERROR(make_steps());
  }
  TENON_RETURN_IF_ERROR(mirror());
  split(batch);
  const Status status = team_->run(
      [&](int rank) {
        const auto at = static_cast<size_t>(rank);
        return steps_[at]->run(args_[at], results_[at]);
      },
      [&](const Status& failed) { fail(failed); });
  for (std::vector<Tensor>& args : args_) args.clear();
  end_failure(status);
  for (size_t i = 0; i < mirrored_.size(); ++i) {
    seen_[i] = status.ok() ? mirrored_[i]->variable->version() : kNeverSeen;
  }
  return status;
}

}  // namespace tenon::keras
