#include "python/native/graph_function.h"

#include <set>

#include "python/native/devices.h"
#include "python/native/replicated_function.h"
#include "tenon/base/log.h"
#include "tenon/graph/builder.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/gradient.h"

namespace tenon::python {
namespace {

// Elements that an op may touch within about a microsecond: giving the interpreter's lock away and
// getting it back costs as much, and far more where other threads wait for it.
constexpr int64_t kSmall = 4096;

bool known_and_small(const Graph& graph) {
  int64_t elements = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    if (!functions_of(node).empty() || node.op->decl().effect == Effect::kOutside) return false;
    for (const ValueInfo& output : node.outputs) {
      const int64_t count = output.shape.num_elements();
      if (count < 0) return false;
      elements += count;
      if (elements > kSmall) return false;
    }
  }
  return true;
}

// An op of its own: all its values are arguments or results.
bool is_one_op(const Graph& graph) {
  int nodes = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    if (node.is("_Arg") || node.is("Const") || node.is("VarHandleOp")) continue;
    ++nodes;
    if (!functions_of(node).empty() || graph.results.size() != node.outputs.size()) return false;
  }
  return nodes == 1;
}

class AllFiles final : public FileAccess {
 public:
  StatusOr<std::string> readable(std::string_view path) const override { return std::string(path); }
  StatusOr<std::string> writable(std::string_view path) const override { return std::string(path); }
};

bool is_made_in_place(const Node& node) { return node.is("Const") || node.is("VarHandleOp"); }

// The devices that nodes name: plug-ins' where one is named, the processor where all that compute
// name it.
std::vector<std::string> places_of(const Graph& graph) {
  std::set<std::string> places;
  bool everywhere = true;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    if (node.is("_Arg") || is_made_in_place(node) || node.is("ReadVariableOp")) continue;
    if (node.device.empty()) everywhere = false;
    if (!node.device.empty()) places.insert(node.device);
  }
  const auto is_processor = [](const std::string& name) {
    return name.starts_with("/device:CPU:");
  };
  if (std::all_of(places.begin(), places.end(), is_processor)) {
    if (!everywhere) places.clear();
  } else {
    std::erase_if(places, is_processor);
  }
  return {places.begin(), places.end()};
}

// The plug-in's device in whose memory the tensor is, or the value of the variable behind a handle.
Device* memory_of(const Tensor& tensor) {
  if (tensor.dtype() != DType::kResource) return device_of(tensor);
  const auto* variable = tensor.object_as<Variable>();
  return variable ? variable->device() : nullptr;
}

// Marks what `roots` need, by NodeId.
std::vector<bool> needed_by(const Graph& graph, std::vector<NodeId> roots) {
  std::vector<bool> needed(static_cast<size_t>(graph.size()));
  while (!roots.empty()) {
    const NodeId id = roots.back();
    roots.pop_back();
    if (needed[static_cast<size_t>(id)]) continue;
    needed[static_cast<size_t>(id)] = true;
    for (Endpoint input : graph.node(id).inputs) roots.push_back(input.node);
    for (NodeId control : graph.node(id).control_inputs) roots.push_back(control);
  }
  return needed;
}

}  // namespace

const FileAccess* all_files() {
  static const AllFiles files;
  return &files;
}

GraphFunction::GraphFunction(Graph graph, std::vector<Endpoint> inputs,
                             std::shared_ptr<ModelState> state, Runs runs, const FileAccess* files)
    : graph_(std::move(graph)),
      inputs_(std::move(inputs)),
      state_(std::move(state)),
      runs_(runs),
      files_(files),
      placed_(places_of(graph_)) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (graph_.node(inputs_[i].node).is("_Arg")) arg_inputs_.push_back(i);
  }
  // Eager ops go on with the numbers of the last one that was alike, functions begin anew.
  if (runs_ == Runs::kOnDefault) streams_ = std::make_shared<ModelState>();
  small_ = known_and_small(graph_);
  saves_itself_ = is_one_op(graph_);
}

const std::shared_ptr<Executable>& GraphFunction::executable(Device* device) {
  std::shared_ptr<Executable>& made = executables_[device];
  if (!made) {
    ExecutableOptions options;
    options.files = files_;
    options.device = device;
    options.streams = streams_;
    Graph graph = graph_;
    for (NodeId id = 0; id < graph.size(); ++id) graph.node(id).device.clear();
    made = value_of(Executable::create(std::move(graph), state_, options));
  }
  return made;
}

Device* GraphFunction::place(std::span<const Value> inputs) const {
  for (const std::string& name : placed_) {
    if (Device* device = device_of_name(name)) return device;
  }
  if (Device* device = placed_device()) return device;
  if (runs_ == Runs::kOnDefault) return default_device();
  for (const Value& input : inputs) {
    if (Device* device = memory_of(input.tensor)) return device;
  }
  return cpu_device();
}

GraphFunction::~GraphFunction() = default;

ReplicatedFunction* GraphFunction::replicated() {
  if (placed_.size() < 2 || is_whole_) return nullptr;
  if (replicated_) return replicated_.get();
  is_whole_ = true;
  std::vector<Device*> devices;
  for (const std::string& name : placed_) {
    Device* device = device_of_name(name);
    if (!device || device->host_accessible()) return nullptr;
    devices.push_back(device);
  }
  auto made = ReplicatedFunction::create(graph_, placed_, std::move(devices), state_, files_);
  if (!made.ok() && !absl::IsUnimplemented(made.status())) check(made.status());
  if (!made.ok()) {
    log_info("a function of ", placed_.size(), " replicas runs on ", placed_[0],
             " alone: ", made.status().message());
    return nullptr;
  }
  is_whole_ = false;
  replicated_ = *std::move(made);
  return replicated_.get();
}

void GraphFunction::run(std::span<const Value> inputs, std::vector<Tensor>& results) {
  std::vector<Tensor> args;
  args.reserve(graph_.args.size());
  for (size_t input : arg_inputs_) args.push_back(inputs[input].tensor);
  if (ReplicatedFunction* replicas = replicated()) {
    const nb::gil_scoped_release released;
    return check(replicas->run(args, results));
  }
  Device* const device = place(inputs);
  const std::shared_ptr<Executable> runs = executable(device);
  const bool waits = !device->host_accessible();
  Status status;
  if (small_ && !waits) {
    status = runs->run(args, results);
  } else {
    const nb::gil_scoped_release released;
    status = runs->start(args, results);
  }
  check(status);
}

bool GraphFunction::differentiable(Endpoint value) const {
  const ValueInfo& info = graph_.value(value);
  if (info.dtype == DType::kResource) return graph_.node(value.node).is("VarHandleOp");
  return is_floating(info.dtype) || is_complex(info.dtype) || info.dtype == DType::kVariant;
}

GraphFunction& GraphFunction::saving() {
  if (saves_itself_) return *this;
  if (!saving_) make_saving();
  return *saving_;
}

GraphFunction::Differentiated GraphFunction::differentiate(const std::vector<bool>& given) const {
  Differentiated made{graph_, {}, {}, {}};
  Graph& graph = made.graph;
  const NodeId before = graph.size();
  GraphBuilder builder(graph);
  std::vector<Endpoint> ys, dys, xs;
  for (size_t i = 0; i < graph.results.size(); ++i) {
    const Endpoint y = graph.results[i];
    made.dys.push_back({});
    if (!given[i] || !differentiable(y)) continue;
    made.dys.back() = builder.arg(cat("dy", i), graph.value(y).dtype, graph.value(y).shape);
    check(builder.status());
    ys.push_back(y);
    dys.push_back(made.dys.back());
  }
  std::vector<size_t> input_of_x;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!differentiable(inputs_[i])) continue;
    input_of_x.push_back(i);
    xs.push_back(inputs_[i]);
  }
  made.dxs.resize(inputs_.size());
  if (!ys.empty() && !xs.empty()) {
    const std::vector<Endpoint> dxs = value_of(gradients(graph, ys, dys, xs));
    for (size_t i = 0; i < dxs.size(); ++i) made.dxs[input_of_x[i]] = dxs[i];
  }
  // The gradient of a loop gives the loop more to take and to keep: that is forward too.
  std::vector<NodeId> forward;
  for (NodeId id = 0; id < before; ++id) {
    if (graph.alive(id)) forward.push_back(id);
  }
  made.is_forward = needed_by(graph, std::move(forward));
  return made;
}

void GraphFunction::make_saving() {
  whole_ = std::make_unique<Differentiated>(differentiate(std::vector<bool>(num_outputs(), true)));
  const Graph& graph = whole_->graph;
  std::vector<NodeId> roots;
  std::vector<Endpoint> used;
  for (Endpoint dx : whole_->dxs) {
    if (!dx) continue;
    roots.push_back(dx.node);
    used.push_back(dx);
  }
  const std::vector<bool> needed = needed_by(graph, std::move(roots));
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !needed[static_cast<size_t>(id)]) continue;
    if (whole_->is_forward[static_cast<size_t>(id)]) continue;
    used.insert(used.end(), graph.node(id).inputs.begin(), graph.node(id).inputs.end());
  }
  for (Endpoint value : used) {
    if (!whole_->is_forward[static_cast<size_t>(value.node)]) continue;
    if (is_made_in_place(graph.node(value.node))) continue;
    const auto among = [&](const std::vector<Endpoint>& list) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    if (!among(inputs_) && !among(graph_.results) && !among(saved_)) saved_.push_back(value);
  }
  Graph forward = graph;
  forward.args = graph_.args;
  forward.results.insert(forward.results.end(), saved_.begin(), saved_.end());
  for (Endpoint value : saved_) forward.result_names.push_back(forward.node(value.node).name);
  forward.remove_unreached();
  saving_ = std::make_shared<GraphFunction>(std::move(forward), inputs_, state_, runs_, files_);
  saving_->saves_itself_ = true;
}

std::optional<BackwardSource> GraphFunction::source_of(Endpoint forward) const {
  const auto position = [&](const std::vector<Endpoint>& list) {
    return static_cast<size_t>(std::find(list.begin(), list.end(), forward) - list.begin());
  };
  if (const size_t at = position(inputs_); at < inputs_.size()) {
    return BackwardSource{BackwardSource::kInput, at};
  }
  if (const size_t at = position(graph_.results); at < graph_.results.size()) {
    return BackwardSource{BackwardSource::kOutput, at};
  }
  if (const size_t at = position(saved_); at < saved_.size()) {
    return BackwardSource{BackwardSource::kSaved, at};
  }
  return std::nullopt;
}

// Cuts the backward nodes out: what they read of the forward nodes becomes their arguments, and
// forward nodes of which nothing was kept stay.
Backward GraphFunction::extract(const Differentiated& from, const std::vector<bool>& given,
                                const std::vector<bool>& wanted) const {
  Backward backward;
  backward.result_of_input.assign(inputs_.size(), -1);
  Graph graph = from.graph;
  graph.args.clear();
  graph.results.clear();
  graph.result_names.clear();
  graph.control_results.clear();
  const auto is_forward = [&](Endpoint e) { return from.is_forward[static_cast<size_t>(e.node)]; };
  std::vector<Endpoint> results;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Endpoint dx = from.dxs[i];
    if (!dx || !wanted[i]) continue;
    // Does the gradient of an output that was given reach it?
    const std::vector<bool> needed = needed_by(graph, {dx.node});
    bool reached = false;
    for (size_t j = 0; j < from.dys.size(); ++j) {
      reached |= from.dys[j] && given[j] && needed[static_cast<size_t>(from.dys[j].node)];
    }
    if (!reached) continue;
    backward.result_of_input[i] = static_cast<int>(results.size());
    results.push_back(dx);
  }
  if (results.empty()) return backward;
  std::vector<NodeId> roots;
  for (Endpoint result : results) roots.push_back(result.node);
  const std::vector<bool> needed = needed_by(graph, roots);

  GraphBuilder builder(graph);
  std::vector<Endpoint> inputs;
  std::map<Endpoint, Endpoint> argument_of;
  std::vector<NodeId> again;  // forward nodes that stay
  const auto replace = [&](Endpoint& e) {
    if (!is_forward(e) || is_made_in_place(graph.node(e.node))) return;
    const std::optional<BackwardSource> source = source_of(e);
    if (!source) return again.push_back(e.node);
    Endpoint& argument = argument_of[e];
    if (!argument) {
      const ValueInfo value = graph.value(e);
      argument = builder.arg("saved", value.dtype, value.shape);
      check(builder.status());
      graph.value(argument).handle = value.handle;
      backward.sources.push_back(*source);
      inputs.push_back(argument);
    }
    e = argument;
  };
  const auto replace_inputs = [&](NodeId id) {
    std::vector<Endpoint> reads = graph.node(id).inputs;
    for (Endpoint& input : reads) replace(input);
    Node& node = graph.node(id);
    node.inputs = std::move(reads);
    std::erase_if(node.control_inputs,
                  [&](NodeId control) { return from.is_forward[static_cast<size_t>(control)]; });
  };
  const NodeId size = from.graph.size();
  for (NodeId id = 0; id < size; ++id) {
    const auto at = static_cast<size_t>(id);
    if (graph.alive(id) && !from.is_forward[at] && needed[at]) replace_inputs(id);
  }
  for (Endpoint& result : results) replace(result);
  for (std::set<NodeId> seen; !again.empty();) {
    const NodeId id = again.back();
    again.pop_back();
    if (seen.insert(id).second) replace_inputs(id);
  }
  for (size_t j = 0; j < from.dys.size(); ++j) {
    const Endpoint dy = from.dys[j];
    if (!dy || !needed[static_cast<size_t>(dy.node)]) continue;
    graph.node(dy.node).attrs.set("index", static_cast<int64_t>(graph.args.size()));
    graph.args.push_back(dy.node);
    backward.sources.push_back({BackwardSource::kGradient, j});
    inputs.push_back(dy);
  }
  graph.results = results;
  for (size_t i = 0; i < results.size(); ++i) graph.result_names.push_back(cat("dx", i));
  graph.remove_unreached();
  backward.function =
      std::make_shared<GraphFunction>(std::move(graph), std::move(inputs), state_, runs_, files_);
  return backward;
}

const Backward& GraphFunction::backward(const std::vector<bool>& given,
                                        const std::vector<bool>& wanted) {
  const auto key = std::make_pair(given, wanted);
  const auto found = backwards_.find(key);
  if (found != backwards_.end()) return found->second;
  if (!saves_itself_ && !whole_) make_saving();
  Backward made = saves_itself_ ? extract(differentiate(given), given, wanted)
                                : extract(*whole_, given, wanted);
  return backwards_.emplace(key, std::move(made)).first->second;
}

}  // namespace tenon::python
