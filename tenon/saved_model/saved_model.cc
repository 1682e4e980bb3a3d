#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/graph/effects.h"
#include "tenon/io/tensor_bundle.h"
#include "tenon/runtime/workspace.h"
#include "tenon/saved_model/folder_access.h"
#include "tenon/saved_model/meta_graph.h"

namespace tenon {
namespace meta = saved_model_internal;
namespace {

constexpr std::string_view kObjectGraphKey = "_CHECKPOINTABLE_OBJECT_GRAPH";

}  // namespace

SavedModel::~SavedModel() = default;

StatusOr<std::vector<std::vector<std::string>>> SavedModel::tag_sets(const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(const meta::ModelFile file, meta::read_model_file(folder));
  std::vector<std::vector<std::string>> sets;
  for (const std::string_view meta_graph : file.meta_graphs) {
    auto tags = meta::tags_of(meta_graph);
    if (!tags.ok()) return with_context(tags.status(), cat("'", file.path, "' is damaged"));
    sets.push_back(*std::move(tags));
  }
  return sets;
}

StatusOr<std::shared_ptr<SavedModel>> SavedModel::load(const std::string& folder,
                                                       LoadOptions options) {
  return or_out_of_memory([&]() -> StatusOr<std::shared_ptr<SavedModel>> {
    TENON_ASSIGN_OR_RETURN(std::shared_ptr<SavedModel> model, read(folder, std::move(options)));
    TENON_RETURN_IF_ERROR(model->restore());
    TENON_RETURN_IF_ERROR(model->finish(model->initialise()));
    return model;
  });
}

StatusOr<std::shared_ptr<SavedModel>> SavedModel::read(const std::string& folder,
                                                       LoadOptions options) {
  std::shared_ptr<SavedModel> model(new SavedModel);
  model->folder_ = folder;
  model->options_ = std::move(options);
  if (!model->options_.executable.files) {
    model->files_ = std::make_unique<FolderAccess>(std::vector<std::string>{folder},
                                                   std::vector<std::string>(), false);
    model->options_.executable.files = model->files_.get();
  }
  TENON_ASSIGN_OR_RETURN(const meta::ModelFile file, meta::read_model_file(folder));
  TENON_ASSIGN_OR_RETURN(const std::string_view message, meta::select(file, model->options_.tags));
  auto meta_graph = meta::parse_meta_graph(message, file.bytes);
  if (!meta_graph.ok()) {
    return with_context(meta_graph.status(), cat("'", file.path, "' is damaged"));
  }
  model->meta_graph_ = *std::move(meta_graph);
  TENON_ASSIGN_OR_RETURN(model->importer_, GraphImporter::create(model->meta_graph_->graph));
  model->state_ = std::make_shared<ModelState>();
  TENON_ASSIGN_OR_RETURN(model->signatures_,
                         meta::signatures_of(*model->meta_graph_, model->options_.warn));
  model->find_unfed_values();
  return model;
}

void SavedModel::find_unfed_values() {
  for (Signature& signature : signatures_) {
    for (SignatureTensor& input : signature.inputs) {
      const std::string fetches[] = {input.tensor};
      const auto graph = importer_->extract({}, {}, fetches, {});
      if (!graph.ok()) continue;
      const Node& source = graph->node(graph->results[0].node);
      if (!source.is("PlaceholderWithDefault")) continue;
      if (const Tensor* value = graph->constant(source.inputs[0])) input.unfed_value = *value;
    }
  }
}

// TensorFlow 2's way where there is an object graph, else TensorFlow Serving's: the graph's own
// restore op.
Status SavedModel::restore() {
  const std::string prefix = join_path(folder_, "variables/variables");
  if (!path_exists(prefix + ".index")) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const auto bundle, BundleReader::open(prefix));
  if (bundle->contains(kObjectGraphKey)) {
    TENON_ASSIGN_OR_RETURN(const Tensor graph, bundle->read(kObjectGraphKey));
    TENON_ASSIGN_OR_RETURN(const auto variables,
                           meta::object_variables(*meta_graph_, *graph.data<std::string_view>()));
    for (const meta::ObjectVariable& variable : variables) {
      if (!checkpoint_keys_.emplace(variable.name, variable.checkpoint_key).second) continue;
      StatusOr<Tensor> value = bundle->read(variable.checkpoint_key);
      if (!value.ok()) {
        return with_context(value.status(), cat("variable '", variable.name, "'"));
      }
      TENON_RETURN_IF_ERROR(state_->set_variable(variable.name, *std::move(value), variable.shape));
    }
    // The entries of mutable tables come back by the graph's own restore op.
    if (!meta::has_mutable_tables(*meta_graph_->graph)) return absl::OkStatus();
  }
  const meta::StartUp& start = meta_graph_->start_up;
  if (start.restore_node.empty()) return absl::OkStatus();
  const std::string feeds[] = {start.filename_tensor};
  const std::string names[] = {"filename"};
  const std::string targets[] = {start.restore_node};
  TENON_ASSIGN_OR_RETURN(Graph graph, importer_->extract(feeds, names, {}, targets));
  TENON_ASSIGN_OR_RETURN(auto executable,
                         Executable::create(std::move(graph), state_, options_.executable));
  const Tensor args[] = {Tensor::string(prefix)};
  std::vector<Tensor> results;
  return with_context(executable->run(args, results), "restoring the variables");
}

Status SavedModel::initialise() {
  const meta::StartUp& start = meta_graph_->start_up;
  if (start.init_node.empty()) return absl::OkStatus();
  std::vector<std::string> feeds, names;
  std::vector<Tensor> args;
  for (const auto& [tensor, file] : start.assets) {
    feeds.push_back(tensor);
    names.push_back(cat("asset_", feeds.size()));
    args.push_back(Tensor::string(join_path(join_path(folder_, "assets"), file)));
  }
  const std::string targets[] = {start.init_node};
  TENON_ASSIGN_OR_RETURN(Graph graph, importer_->extract(feeds, names, {}, targets));
  TENON_ASSIGN_OR_RETURN(auto executable,
                         Executable::create(std::move(graph), state_, options_.executable));
  std::vector<Tensor> results;
  return with_context(executable->run(args, results), "running the initialisation");
}

// The first resource that the graph names and that is not there yet; empty where all are.
std::string SavedModel::handle_without_value(const Graph& graph, bool variables_only) const {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    if (!node.inputs.empty() || !node.attrs.get_if<std::string>("shared_name")) continue;
    const bool is_variable = node.is("VarHandleOp");
    if (variables_only && !is_variable) continue;
    const std::string name = resource_name(node);
    const Ref<Variable> variable = is_variable ? state_->variable(name) : Ref<Variable>();
    if (!variable || !variable->initialized()) return name;
  }
  return "";
}

// Finds out which variables are frozen and which signatures can be used.
Status SavedModel::finish(const Status& initialised) {
  const bool has_variables = path_exists(join_path(folder_, "variables/variables.index"));
  WrittenResources written;
  for (const Signature& signature : signatures_) {
    StatusOr<Graph> graph = function(signature);
    Status status = graph.status();
    if (status.ok()) status = collect_written(*graph, written);
    // A signature that cannot run writes nothing; it says why when it is asked for.
    if (!status.ok() && options_.warn)
      log_warning("signature '", signature.name, "': ", message_of(status));
    if (!graph.ok()) continue;
    const std::string variable =
        has_variables ? "" : handle_without_value(*graph, /*variables_only=*/true);
    if (!variable.empty()) {
      return not_found("'", join_path(folder_, "variables/variables.index"),
                       "' is not there: signature '", signature.name, "' reads variable '",
                       variable, "'");
    }
    if (!initialised.ok() && !handle_without_value(*graph, /*variables_only=*/false).empty()) {
      unusable_[signature.name] = initialised;
    }
  }
  if (unusable_.size() == signatures_.size()) TENON_RETURN_IF_ERROR(initialised);
  for (const auto& [name, status] : unusable_) {
    if (options_.warn) log_warning("signature '", name, "': ", message_of(status));
  }
  for (const auto& [name, variable] : state_->variables()) {
    if (!written.contains(name)) state_->freeze(name);
  }
  return absl::OkStatus();
}

std::vector<Signature> SavedModel::declared_signatures() const {
  std::vector<Signature> declared = signatures_;
  for (Signature& other : meta::other_signatures(*meta_graph_, signatures_)) {
    declared.push_back(std::move(other));
  }
  std::sort(declared.begin(), declared.end(),
            [](const Signature& a, const Signature& b) { return a.name < b.name; });
  return declared;
}

const Signature* SavedModel::find_signature(std::string_view name) const {
  for (const Signature& signature : signatures_) {
    if (signature.name == name) return &signature;
  }
  return nullptr;
}

StatusOr<Graph> SavedModel::function(const Signature& signature) const {
  std::vector<std::string> feeds, names, fetches;
  for (const SignatureTensor& input : signature.inputs) {
    feeds.push_back(input.tensor);
    names.push_back(input.name);
  }
  for (const SignatureTensor& output : signature.outputs) fetches.push_back(output.tensor);
  TENON_ASSIGN_OR_RETURN(Graph graph, importer_->extract(feeds, names, fetches, {}));
  for (size_t i = 0; i < signature.outputs.size(); ++i) {
    graph.result_names[i] = signature.outputs[i].name;
  }
  return graph;
}

StatusOr<std::vector<Shape>> one_row_shapes(const Signature& signature) {
  std::vector<Shape> shapes;
  for (const SignatureTensor& input : signature.inputs) {
    if (!input.shape.has_rank()) {
      return invalid_argument("input '", input.name, "' of signature '", signature.name,
                              "' may have any rank");
    }
    std::vector<int64_t> dims(input.shape.dims().begin(), input.shape.dims().end());
    std::replace(dims.begin(), dims.end(), int64_t{-1}, int64_t{1});
    TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(dims, size_of(input.dtype)));
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

StatusOr<std::shared_ptr<Executable>> SavedModel::executable(const Signature& signature) const {
  if (const auto found = unusable_.find(signature.name); found != unusable_.end()) {
    return with_context(found->second, cat("signature '", signature.name, "'"));
  }
  std::lock_guard lock(mutex_);
  std::shared_ptr<Executable>& place = executables_[signature.name];
  if (place) return place;
  StatusOr<Graph> graph = function(signature);
  if (!graph.ok()) {
    return with_context(graph.status(), cat("signature '", signature.name, "'"));
  }
  StatusOr<std::shared_ptr<Executable>> made =
      Executable::create(*std::move(graph), state_, options_.executable);
  if (!made.ok()) return with_context(made.status(), cat("signature '", signature.name, "'"));
  place = *std::move(made);
  return place;
}

void SavedModel::drop_executable(const std::string& signature) const {
  const std::lock_guard lock(mutex_);
  executables_.erase(signature);
  state_->packed_weights().drop_unused();
}

void SavedModel::drop_idle_workspaces() const {
  Device* const own = options_.executable.device;
  state_->workspaces(own ? own : DeviceRegistry::global().preferred())->drop_idle();
}

std::vector<std::string> SavedModel::ops() const { return meta::ops_of(*meta_graph_->graph); }

std::string SavedModel::signature_def_map() const {
  std::string map;
  for (const auto& [name, def] : meta_graph_->signature_defs) {
    append_message(map, 1, [&, &name = name, &def = def] {
      append_bytes_field(map, 1, name);
      append_bytes_field(map, 2, def.bytes());
    });
  }
  return map;
}

Status SavedModel::save_variables() const {
  const std::string prefix = join_path(folder_, "variables/variables");
  TENON_ASSIGN_OR_RETURN(const auto old, BundleReader::open(prefix));
  std::map<std::string, Tensor> values;
  for (const auto& [name, variable] : state_->variables()) {
    const auto key = checkpoint_keys_.find(name);
    TENON_ASSIGN_OR_RETURN(values[key == checkpoint_keys_.end() ? name : key->second],
                           variable->read());
  }
  TENON_ASSIGN_OR_RETURN(const auto writer, BundleWriter::create(prefix));
  for (const auto& [key, entry] : old->entries()) {
    const auto value = values.find(key);
    if (value != values.end()) {
      TENON_RETURN_IF_ERROR(writer->add(key, value->second));
    } else {
      TENON_ASSIGN_OR_RETURN(const Tensor unchanged, old->read(key));
      TENON_RETURN_IF_ERROR(writer->add(key, unchanged));
    }
  }
  return writer->finish();
}

}  // namespace tenon
