#include "python/native/replica_graphs.h"

#include <bit>
#include <cstring>

#include "tenon/graph/all_reduce.h"
#include "tenon/graph/effects.h"

namespace tenon::python {
namespace {

using Members = uint64_t;  // a bit for each replica

constexpr int kNobody = -1;
constexpr int64_t kBucketBytes = int64_t{4} << 20;

int only_member(Members members) {
  return std::has_single_bit(members) ? std::countr_zero(members) : kNobody;
}

// Where each node of the whole belongs.
class Homes {
 public:
  Homes(const Graph& whole, std::span<const std::string> places) : whole_(whole), places_(places) {}

  Status find();

  int home(NodeId node) const { return homes_[static_cast<size_t>(node)]; }
  bool is_sum(NodeId node) const { return sums_[static_cast<size_t>(node)]; }
  // The replica whose value all others are told, because one of them writes it; kNobody for others.
  int teller(Endpoint value) const {
    const auto found = told_.find(value);
    return found == told_.end() ? kNobody : found->second;
  }
  // Whether replica `rank` can compute the node: it depends on what no other replica changes.
  bool may(int rank, NodeId node) const {
    return (depends_[static_cast<size_t>(node)] & ~(Members{1} << rank)) == 0;
  }
  bool changes(NodeId node) const { return changes_[static_cast<size_t>(node)]; }
  const std::vector<NodeId>& order() const { return order_; }

 private:
  Status find_resources();
  Status visit(NodeId id);
  StatusOr<std::vector<std::string>> resources_of(const Node& node);
  int placed(const Node& node) const;
  bool adds_replicas(const Node& node) const;
  Members depends_on(const Node& node, int home);

  const Graph& whole_;
  std::span<const std::string> places_;
  std::vector<NodeId> order_;
  std::vector<int> homes_;
  std::vector<Members> depends_;
  std::vector<bool> sums_, changes_;
  std::map<Endpoint, int> told_;
  std::map<std::string, int> owners_;  // of what is written, by the name of the resource
};

int Homes::placed(const Node& node) const {
  const auto found = std::find(places_.begin(), places_.end(), node.device);
  return found == places_.end() ? kNobody : static_cast<int>(found - places_.begin());
}

bool is_added(DType dtype) {
  constexpr DType kAdded[] = {DType::kHalf,   DType::kBfloat16, DType::kFloat,
                              DType::kDouble, DType::kInt32,    DType::kInt64};
  return std::find(std::begin(kAdded), std::end(kAdded), dtype) != std::end(kAdded);
}

bool Homes::adds_replicas(const Node& node) const {
  if (!node.is("AddN") || node.inputs.size() != places_.size() || placed(node) != kNobody) {
    return false;
  }
  if (!is_added(node.outputs[0].dtype)) return false;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (homes_[static_cast<size_t>(node.inputs[i].node)] != static_cast<int>(i)) return false;
  }
  return true;
}

StatusOr<std::vector<std::string>> Homes::resources_of(const Node& node) {
  HandleSources sources(whole_);
  std::vector<std::string> names;
  for (Endpoint input : node.inputs) {
    if (whole_.value(input).dtype != DType::kResource) continue;
    const HandleSource source = sources.of(input);
    if (source.kind == HandleSource::Kind::kComputed) {
      return unimplemented(describe(node), " uses a handle that is computed");
    }
    const Node& from = whole_.node(source.value.node);
    names.push_back(source.kind == HandleSource::Kind::kNamed ? resource_name(from)
                                                              : cat("argument ", from.name));
  }
  return names;
}

// Who writes what: nobody else may touch it.
Status Homes::find_resources() {
  for (NodeId id : order_) {
    const Node& node = whole_.node(id);
    const Effects effects = effects_of(whole_, node);
    if (effects.random || effects.outside || effects.collective) {
      return unimplemented(describe(node), " does more than compute and change variables");
    }
    changes_[static_cast<size_t>(id)] = effects.writes;
    if (!effects.writes) continue;
    TENON_ASSIGN_OR_RETURN(const std::vector<std::string> names, resources_of(node));
    for (const std::string& name : names) {
      const int owner = std::max(0, placed(node));
      const auto [it, fresh] = owners_.try_emplace(name, owner);
      if (!fresh && it->second != owner) {
        return unimplemented("several replicas write variable ", name);
      }
    }
  }
  return absl::OkStatus();
}

// Of a node that one replica runs and that takes another's value, this one is told it.
Members Homes::depends_on(const Node& node, int home) {
  Members depends = 0;
  for (Endpoint input : node.inputs) {
    const Members of = depends_[static_cast<size_t>(input.node)];
    const int other = only_member(of);
    const ValueInfo& value = whole_.value(input);
    const bool is_told = home != kNobody && other != kNobody && other != home &&
                         is_added(value.dtype) && value.shape.is_fully_known();
    if (is_told) {
      told_[input] = other;
    } else {
      depends |= of;
    }
  }
  return depends;
}

Status Homes::visit(NodeId id) {
  const auto at = static_cast<size_t>(id);
  const Node& node = whole_.node(id);
  if (adds_replicas(node)) {
    sums_[at] = true;
    return absl::OkStatus();
  }
  Members depends = depends_on(node, placed(node));
  if (effects_of(whole_, node).any()) {
    TENON_ASSIGN_OR_RETURN(const std::vector<std::string> names, resources_of(node));
    for (const std::string& name : names) {
      if (const auto it = owners_.find(name); it != owners_.end()) {
        depends |= Members{1} << it->second;
      }
    }
  }
  depends_[at] = depends;
  homes_[at] = placed(node);
  if (homes_[at] == kNobody) homes_[at] = only_member(depends);
  const bool torn = homes_[at] != kNobody && !may(homes_[at], id);
  if (torn || (changes_[at] && only_member(depends) == kNobody)) {
    return unimplemented(describe(node), " takes values of several replicas");
  }
  return absl::OkStatus();
}

Status Homes::find() {
  TENON_ASSIGN_OR_RETURN(order_, whole_.topological_order());
  const auto size = static_cast<size_t>(whole_.size());
  homes_.assign(size, kNobody);
  depends_.assign(size, 0);
  sums_.assign(size, false);
  changes_.assign(size, false);
  TENON_RETURN_IF_ERROR(find_resources());
  for (NodeId id : order_) TENON_RETURN_IF_ERROR(visit(id));
  return absl::OkStatus();
}

// Cuts the whole up.
class Splitter {
 public:
  Splitter(const Graph& whole, const Homes& homes, size_t replicas)
      : whole_(whole),
        homes_(homes),
        wanted_(replicas, std::vector<bool>(static_cast<size_t>(whole.size()))),
        in_rest_(static_cast<size_t>(whole.size())),
        fetched_(replicas) {}

  Status mark();
  StatusOr<ReplicaGraphs> cut(std::string_view group, bool on_device);

 private:
  using Todo = std::vector<std::pair<int, NodeId>>;
  int replicas() const { return static_cast<int>(wanted_.size()); }
  ReplicaValue fetch(Endpoint value, int replica);
  Status want(Todo todo);
  void want_rest(NodeId node, Todo& todo);
  bool is_of_rest(Endpoint e) const {
    return homes_.home(e.node) == kNobody && !homes_.is_sum(e.node);
  }
  int giver(Endpoint e) const { return std::max(0, homes_.home(e.node)); }
  ReplicaGraphs::Part part(int rank, std::string_view group, bool on_device, Status& status);
  Endpoint share(GraphBuilder& build, Endpoint met, int rank) const;
  Status meet(Graph& graph, const std::vector<Endpoint>& met, int rank, std::string_view group,
              bool on_device);
  Status make_rest(ReplicaGraphs& made);

  const Graph& whole_;
  const Homes& homes_;
  std::vector<std::vector<bool>> wanted_;  // by replica
  std::vector<bool> in_rest_;
  std::set<Endpoint> told_;                     // that somebody wants
  std::vector<std::vector<Endpoint>> fetched_;  // by replica, its results
};

ReplicaValue Splitter::fetch(Endpoint value, int replica) {
  std::vector<Endpoint>& list = fetched_[static_cast<size_t>(replica)];
  const auto found = std::find(list.begin(), list.end(), value);
  if (found == list.end()) return list.push_back(value), ReplicaValue{replica, list.size() - 1};
  return {replica, static_cast<size_t>(found - list.begin())};
}

// What replicas need to compute these nodes. A sum that one needs is computed by all.
Status Splitter::want(Todo todo) {
  while (!todo.empty()) {
    const auto [rank, id] = todo.back();
    todo.pop_back();
    std::vector<bool>& wanted = wanted_[static_cast<size_t>(rank)];
    if (wanted[static_cast<size_t>(id)]) continue;
    wanted[static_cast<size_t>(id)] = true;
    const Node& node = whole_.node(id);
    if (homes_.is_sum(id)) {
      for (int other = 0; other < replicas(); ++other) {
        todo.emplace_back(other, id);
        todo.emplace_back(other, node.inputs[static_cast<size_t>(other)].node);
      }
      continue;
    }
    if (!homes_.may(rank, id)) {
      return unimplemented("replica ", rank, " wants ", describe(node), " of another one");
    }
    for (Endpoint input : node.inputs) {
      const int teller = homes_.teller(input);
      const bool is_told = teller != kNobody && teller != rank;
      if (is_told) told_.insert(input);
      todo.emplace_back(is_told ? teller : rank, input.node);
    }
  }
  return absl::OkStatus();
}

void Splitter::want_rest(NodeId node, Todo& todo) {
  std::vector<NodeId> stack = {node};
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (in_rest_[static_cast<size_t>(id)]) continue;
    in_rest_[static_cast<size_t>(id)] = true;
    for (Endpoint input : whole_.node(id).inputs) {
      if (is_of_rest(input)) {
        stack.push_back(input.node);
      } else {
        fetch(input, giver(input));
        todo.emplace_back(giver(input), input.node);
      }
    }
  }
}

Status Splitter::mark() {
  Todo todo;
  for (Endpoint result : whole_.results) {
    if (is_of_rest(result)) {
      want_rest(result.node, todo);
    } else {
      fetch(result, giver(result));
      todo.emplace_back(giver(result), result.node);
    }
  }
  for (NodeId id : homes_.order()) {
    if (homes_.changes(id)) todo.emplace_back(giver({id, 0}), id);
  }
  return want(std::move(todo));
}

void replace_uses(Graph& graph, Endpoint from, Endpoint to, NodeId first_new) {
  for (NodeId id = 0; id < first_new; ++id) {
    if (!graph.alive(id)) continue;
    for (Endpoint& input : graph.node(id).inputs) {
      if (input == from) input = to;
    }
  }
  for (Endpoint& result : graph.results) {
    if (result == from) result = to;
  }
}

// Values that stand at one depth of sums of sums, and have one dtype, are handed in together, in
// buckets; those of lesser depth first.
std::vector<std::vector<Endpoint>> buckets_of(const Graph& graph, const Homes& homes,
                                              const std::vector<Endpoint>& met) {
  std::vector<int> depth(static_cast<size_t>(graph.size()));
  for (NodeId id : homes.order()) {
    int& own = depth[static_cast<size_t>(id)];
    for (Endpoint input : graph.node(id).inputs) {
      const int told = homes.teller(input) == kNobody ? 0 : 1;
      own = std::max(own, depth[static_cast<size_t>(input.node)] + told);
    }
    // What is read after a write of a sum comes after the sum.
    for (NodeId control : graph.node(id).control_inputs) {
      own = std::max(own, depth[static_cast<size_t>(control)]);
    }
    if (homes.is_sum(id)) ++own;
  }
  std::vector<std::vector<Endpoint>> buckets;
  std::vector<int> depth_of_bucket;
  std::map<std::pair<int, DType>, std::pair<size_t, int64_t>> open;
  for (Endpoint e : met) {
    const ValueInfo& value = graph.value(e);
    const int64_t elements = std::max<int64_t>(value.shape.num_elements(), 1);
    const int at = depth[static_cast<size_t>(e.node)] + (homes.is_sum(e.node) ? 0 : 1);
    const auto [it, fresh] = open.try_emplace({at, value.dtype}, buckets.size(), 0);
    auto& [bucket, bytes] = it->second;
    if (!fresh && bytes >= kBucketBytes) bucket = buckets.size(), bytes = 0;
    if (bucket == buckets.size()) {
      buckets.emplace_back();
      depth_of_bucket.push_back(at);
    }
    buckets[bucket].push_back(e);
    bytes += elements * static_cast<int64_t>(size_of(value.dtype));
  }
  std::vector<std::vector<Endpoint>> sorted;
  for (int at = 1; sorted.size() < buckets.size(); ++at) {
    for (size_t b = 0; b < buckets.size(); ++b) {
      if (depth_of_bucket[b] == at) sorted.push_back(std::move(buckets[b]));
    }
  }
  return sorted;
}

// What a replica hands in: of a sum its own value, of what one tells the others 0 but for that one.
Endpoint Splitter::share(GraphBuilder& build, Endpoint met, int rank) const {
  if (homes_.is_sum(met.node)) return whole_.node(met.node).inputs[static_cast<size_t>(rank)];
  if (homes_.teller(met) == rank) return met;
  const ValueInfo& value = whole_.value(met);
  Tensor zeros(value.dtype, value.shape.to_shape());
  std::memset(zeros.mutable_raw(), 0, zeros.num_bytes());
  return build.constant(std::move(zeros));
}

Status Splitter::meet(Graph& graph, const std::vector<Endpoint>& met, int rank,
                      std::string_view group, bool on_device) {
  if (met.empty()) return absl::OkStatus();
  const std::vector<std::vector<Endpoint>> buckets = buckets_of(whole_, homes_, met);
  GraphBuilder build(graph);
  const Endpoint meets = communicator(build, group, on_device);
  const Endpoint present = on_device ? Endpoint() : build.scalar(true);
  const NodeId first_new = graph.size();
  std::vector<std::pair<Endpoint, Endpoint>> replaced;
  NodeId begun = -1;  // the last start: all replicas begin in one order, whatever is ready first
  for (size_t b = 0; b < buckets.size(); ++b) {
    std::vector<Endpoint> values;
    for (Endpoint e : buckets[b]) values.push_back(share(build, e, rank));
    // Sums of sums take what the deeper ones are replaced by.
    for (Endpoint& value : values) {
      for (const auto& [from, to] : replaced) {
        if (value == from) value = to;
      }
    }
    const AllReduce sum =
        start_all_reduce(build, meets, present, std::move(values), cat("sum_", b), false);
    const std::vector<Endpoint> results = finish_all_reduce(build, sum);
    TENON_RETURN_IF_ERROR(build.status());
    const NodeId start = on_device ? sum.values[0].node : sum.pending.node;
    if (begun >= 0) graph.node(start).control_inputs.push_back(begun);
    begun = start;
    graph.control_results.push_back(results[0].node);  // also where this replica needs none of it
    for (size_t i = 0; i < results.size(); ++i) {
      const Endpoint from = buckets[b][i];
      if (homes_.teller(from) == rank) continue;
      replaced.emplace_back(from, results[i]);
      replace_uses(graph, from, results[i], first_new);
    }
  }
  return absl::OkStatus();
}

// Arguments that nobody wants are left out.
std::vector<size_t> keep_args(Graph& graph, const std::vector<bool>& wanted) {
  std::vector<size_t> kept;
  std::vector<NodeId> args;
  for (size_t i = 0; i < graph.args.size(); ++i) {
    if (!wanted[static_cast<size_t>(graph.args[i])]) continue;
    graph.node(graph.args[i]).attrs.set("index", static_cast<int64_t>(args.size()));
    args.push_back(graph.args[i]);
    kept.push_back(i);
  }
  graph.args = std::move(args);
  return kept;
}

void keep_only(Graph& graph, const std::vector<bool>& wanted) {
  const auto is_gone = [&](NodeId id) { return !wanted[static_cast<size_t>(id)]; };
  for (NodeId id = 0; id < static_cast<NodeId>(wanted.size()); ++id) {
    if (graph.alive(id)) std::erase_if(graph.node(id).control_inputs, is_gone);
  }
  std::erase_if(graph.control_results, is_gone);
}

void name_results(Graph& graph) {
  graph.result_names.clear();
  for (size_t i = 0; i < graph.results.size(); ++i) {
    graph.result_names.push_back(cat("output_", i));
  }
}

ReplicaGraphs::Part Splitter::part(int rank, std::string_view group, bool on_device,
                                   Status& status) {
  const std::vector<bool>& wanted = wanted_[static_cast<size_t>(rank)];
  ReplicaGraphs::Part made{whole_, {}};
  Graph& graph = made.graph;
  made.args = keep_args(graph, wanted);
  keep_only(graph, wanted);
  graph.results = fetched_[static_cast<size_t>(rank)];
  name_results(graph);
  std::vector<Endpoint> met;
  for (NodeId id : homes_.order()) {
    if (homes_.is_sum(id) && wanted[static_cast<size_t>(id)]) met.push_back({id, 0});
    for (auto it = told_.lower_bound({id, 0}); it != told_.end() && it->node == id; ++it) {
      met.push_back(*it);
    }
  }
  status.Update(meet(graph, met, rank, group, on_device));
  graph.remove_unreached();
  return made;
}

Status Splitter::make_rest(ReplicaGraphs& made) {
  for (Endpoint result : whole_.results) {
    made.results.push_back(is_of_rest(result) ? ReplicaValue{kNobody, made.rest.results.size()}
                                              : fetch(result, giver(result)));
    if (is_of_rest(result)) made.rest.results.push_back(result);
  }
  if (made.rest.results.empty()) return absl::OkStatus();
  const std::vector<Endpoint> results = std::move(made.rest.results);
  made.rest = whole_;
  Graph& graph = made.rest;
  graph.results = results;
  name_results(graph);
  for (size_t index : keep_args(graph, in_rest_)) made.rest_args.push_back({kNobody, index});
  keep_only(graph, in_rest_);
  GraphBuilder build(graph);
  std::map<Endpoint, Endpoint> given;
  for (NodeId id = 0; id < whole_.size(); ++id) {
    if (!whole_.alive(id) || !in_rest_[static_cast<size_t>(id)]) continue;
    for (size_t i = 0; i < whole_.node(id).inputs.size(); ++i) {
      const Endpoint input = whole_.node(id).inputs[i];
      if (is_of_rest(input)) continue;
      Endpoint& arg = given[input];
      if (!arg) {
        arg = build.arg("of_replica", whole_.value(input).dtype, whole_.value(input).shape);
        TENON_RETURN_IF_ERROR(build.status());
        made.rest_args.push_back(fetch(input, giver(input)));
      }
      graph.node(id).inputs[i] = arg;
    }
  }
  graph.remove_unreached();
  return absl::OkStatus();
}

StatusOr<ReplicaGraphs> Splitter::cut(std::string_view group, bool on_device) {
  ReplicaGraphs made;
  Status status;
  for (int rank = 0; rank < replicas(); ++rank) {
    made.replicas.push_back(part(rank, group, on_device, status));
    TENON_RETURN_IF_ERROR(status);
    std::set<std::string>& names = made.variables.emplace_back();
    const Graph& graph = made.replicas.back().graph;
    for (NodeId id = 0; id < graph.size(); ++id) {
      if (graph.alive(id) && graph.node(id).is("VarHandleOp")) {
        names.insert(graph.node(id).attrs.get<std::string>("shared_name"));
      }
    }
  }
  TENON_RETURN_IF_ERROR(make_rest(made));
  return made;
}

}  // namespace

StatusOr<ReplicaGraphs> split_replicas(const Graph& whole, std::span<const std::string> places,
                                       std::string_view group, bool on_device) {
  if (places.size() > 64) return unimplemented("more than 64 replicas");
  Homes homes(whole, places);
  TENON_RETURN_IF_ERROR(homes.find());
  Splitter splitter(whole, homes, places.size());
  TENON_RETURN_IF_ERROR(splitter.mark());
  return splitter.cut(group, on_device);
}

}  // namespace tenon::python
