#include "tenon/saved_model/checkpoint.h"

#include <algorithm>
#include <chrono>

#include "tenon/base/files.h"
#include "tenon/io/checkpoint_state.h"
#include "tenon/io/tensor_bundle.h"
#include "tenon/saved_model/trackable_graph.h"

namespace tenon {
namespace {

constexpr std::string_view kCheckpointGraphKey = "_CHECKPOINTABLE_OBJECT_GRAPH";
constexpr std::string_view kAttributePath = "/.ATTRIBUTES/VARIABLE_VALUE";
constexpr std::string_view kModelObject = "model/";
constexpr std::string_view kProgressObject = "tenon/";

// TensorFlow's escaping of one name in a path: '.' begins its own names, '/' separates.
std::string escape_segment(std::string_view segment) {
  std::string escaped;
  for (char c : segment) escaped += c == '.' ? ".." : std::string(1, c);
  return escaped;
}

// The object graph of a set of paths: an object for each segment.
class ObjectTree {
 public:
  ObjectTree() { add_object(); }

  // Adds the variable at `path`; returns its key in the bundle.
  std::string add(std::string_view path) {
    int node = 0;
    std::vector<std::string> segments;
    for (std::string_view segment : split(path, '/')) {
      node = child(node, std::string(segment));
      segments.push_back(escape_segment(segment));
    }
    std::string key = cat(join(segments, "/"), kAttributePath);
    graph_.add_value(node, path, key);
    return key;
  }

  std::string serialize() const { return graph_.serialize(); }

 private:
  int add_object() {
    const int object = graph_.add();
    graph_.mark_values(object);
    return object;
  }

  int child(int parent, const std::string& name) {
    const auto [it, fresh] = children_.try_emplace({parent, name}, graph_.size());
    if (fresh) graph_.add_child(parent, add_object(), name);
    return it->second;
  }

  saved_model_internal::TrackableGraph graph_;
  std::map<std::pair<int, std::string>, int> children_;
};

std::vector<NamedTensor> progress_tensors(const TrainingProgress& progress) {
  const auto name = [](std::string_view field) { return cat(kProgressObject, field); };
  return {{name("epoch"), Tensor::scalar<int64_t>(progress.epoch)},
          {name("step"), Tensor::scalar<int64_t>(progress.step)},
          {name("seed"), Tensor::scalar<uint64_t>(progress.seed)},
          {name("isa"), Tensor::string(progress.isa)},
          {name("threads"), Tensor::scalar<int64_t>(progress.threads)},
          {name("details"), Tensor::string(progress.details)},
          // tf.train.Checkpoint expects to find this one.
          {"save_counter", Tensor::scalar<int64_t>(progress.epoch)}};
}

Status write_bundle(const std::string& prefix, const TrainingProgress& progress,
                    std::span<const NamedTensor> variables) {
  TENON_ASSIGN_OR_RETURN(const auto writer, BundleWriter::create(prefix));
  ObjectTree tree;
  for (const NamedTensor& variable : variables) {
    TENON_RETURN_IF_ERROR(writer->add(tree.add(cat(kModelObject, variable.name)), variable.value));
  }
  for (const NamedTensor& field : progress_tensors(progress)) {
    TENON_RETURN_IF_ERROR(writer->add(tree.add(field.name), field.value));
  }
  TENON_RETURN_IF_ERROR(writer->add(kCheckpointGraphKey, Tensor::string(tree.serialize())));
  return writer->finish();
}

double seconds_now() {
  using Seconds = std::chrono::duration<double>;
  return Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Bundles are written with one shard.
Status remove_bundle(const std::string& prefix) {
  TENON_RETURN_IF_ERROR(remove_tree(cat(prefix, ".index")));
  return remove_tree(bundle_shard_path(prefix, 0, 1));
}

// Makes `name` the newest; afterwards removes the checkpoints that are too many.
Status update_state(const std::string& folder, const std::string& name, int keep) {
  CheckpointState state;
  StatusOr<CheckpointState> old = read_checkpoint_state(folder);
  if (old.ok()) {
    state = *std::move(old);
  } else if (!absl::IsNotFound(old.status())) {
    return old.status();
  }
  auto& paths = state.all_model_checkpoint_paths;
  auto& times = state.all_model_checkpoint_timestamps;
  times.resize(paths.size());
  if (const auto it = std::find(paths.begin(), paths.end(), name); it != paths.end()) {
    times.erase(times.begin() + (it - paths.begin()));
    paths.erase(it);
  }
  paths.push_back(name);
  times.push_back(seconds_now());
  std::vector<std::string> surplus;
  while (keep > 0 && paths.size() > static_cast<size_t>(keep)) {
    surplus.push_back(paths.front());
    paths.erase(paths.begin());
    times.erase(times.begin());
  }
  state.model_checkpoint_path = name;
  TENON_RETURN_IF_ERROR(write_checkpoint_state(folder, state));
  for (const std::string& path : surplus) {
    // What another program put elsewhere is not ours to remove.
    if (path.find('/') != std::string::npos) continue;
    TENON_RETURN_IF_ERROR(remove_bundle(join_path(folder, path)));
  }
  return absl::OkStatus();
}

template <class T>
void read_field(const Tensor& tensor, T& field) {
  if (tensor.dtype() == dtype_of<T> && tensor.rank() == 0) field = *tensor.data<T>();
}

void read_progress(std::string_view name, const Tensor& tensor, TrainingProgress& progress) {
  if (name == "epoch") read_field(tensor, progress.epoch);
  if (name == "step") read_field(tensor, progress.step);
  if (name == "seed") read_field(tensor, progress.seed);
  if (name == "threads") read_field(tensor, progress.threads);
  const bool is_text = tensor.dtype() == DType::kString && tensor.rank() == 0;
  if (name == "isa" && is_text) progress.isa = *tensor.data<std::string_view>();
  if (name == "details" && is_text) progress.details = *tensor.data<std::string_view>();
}

// Variables by the path that their key spells.
std::string path_of(std::string_view key) {
  std::string path;
  key.remove_suffix(kAttributePath.size());
  for (size_t i = 0; i < key.size(); ++i) {
    path += key[i];
    if (key[i] == '.' && i + 1 < key.size() && key[i + 1] == '.') ++i;
  }
  return path;
}

}  // namespace

const Tensor* Checkpoint::find(std::string_view name) const {
  const auto it = std::lower_bound(
      variables.begin(), variables.end(), name,
      [](const NamedTensor& variable, std::string_view n) { return variable.name < n; });
  return it != variables.end() && it->name == name ? &it->value : nullptr;
}

StatusOr<std::string> save_checkpoint(const std::string& folder, const TrainingProgress& progress,
                                      std::span<const NamedTensor> variables, int keep) {
  TENON_RETURN_IF_ERROR(create_directories(folder));
  const std::string name = cat("ckpt-", progress.epoch);
  std::string prefix = join_path(folder, name);
  TENON_RETURN_IF_ERROR(write_bundle(prefix, progress, variables));
  TENON_RETURN_IF_ERROR(update_state(folder, name, keep));
  return prefix;
}

StatusOr<Checkpoint> load_checkpoint(const std::string& prefix) {
  TENON_ASSIGN_OR_RETURN(const auto bundle, BundleReader::open(prefix));
  Checkpoint checkpoint;
  for (const auto& [key, entry] : bundle->entries()) {
    if (!key.ends_with(kAttributePath)) continue;
    TENON_ASSIGN_OR_RETURN(Tensor value, bundle->read(key));
    const std::string path = path_of(key);
    if (path.starts_with(kProgressObject)) {
      read_progress(std::string_view(path).substr(kProgressObject.size()), value,
                    checkpoint.progress);
    } else if (path.starts_with(kModelObject)) {
      checkpoint.variables.push_back({path.substr(kModelObject.size()), std::move(value)});
    }
  }
  std::sort(checkpoint.variables.begin(), checkpoint.variables.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  return checkpoint;
}

StatusOr<Checkpoint> load_latest_checkpoint(const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(const std::string prefix, latest_checkpoint(folder));
  return load_checkpoint(prefix);
}

}  // namespace tenon
