#include "tenon/passes/rewrite.h"

#include <deque>
#include <unordered_map>

namespace tenon {
namespace {

// The rules of a table by the op of their root, their patterns read once.
class RuleIndex {
 public:
  struct Row {
    const Rule* rule;
    Pattern pattern;
  };

  static StatusOr<RuleIndex> make(const RuleTable& table) {
    RuleIndex index;
    for (const Rule& rule : table.rules) {
      TENON_ASSIGN_OR_RETURN(Pattern pattern, Pattern::parse(rule.pattern));
      const auto row = std::make_shared<const Row>(Row{&rule, std::move(pattern)});
      for (const OpDef* op : row->pattern.root_ops()) index.rows_[op].push_back(row);
    }
    return index;
  }

  std::span<const std::shared_ptr<const Row>> of(const OpDef* op) const {
    const auto it = rows_.find(op);
    if (it == rows_.end()) return {};
    return it->second;
  }

 private:
  std::unordered_map<const OpDef*, std::vector<std::shared_ptr<const Row>>> rows_;
};

class RuleDriver {
 public:
  RuleDriver(Graph& graph, const PassContext& context, const RuleTable& table,
             const RuleIndex& index, std::optional<SymbolicShapes> shapes)
      : graph_(graph),
        context_(context),
        table_(table),
        index_(index),
        uses_(graph),
        shapes_(std::move(shapes)),
        left_(int64_t{16} * graph.size() + 4096) {}

  Status run() {
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
    for (NodeId id : order) enqueue(id);
    while (!queue_.empty()) {
      const NodeId id = queue_.front();
      queue_.pop_front();
      queued_[static_cast<size_t>(id)] = false;
      if (!graph_.alive(id)) continue;
      // Shapes that do not go together are told when the node runs, if it runs.
      if (table_.infers && changed_ && !graph_.infer(id).ok()) continue;
      TENON_RETURN_IF_ERROR(visit(id));
    }
    return absl::OkStatus();
  }

 private:
  void enqueue(NodeId id) {
    queued_.resize(static_cast<size_t>(graph_.size()), false);
    if (queued_[static_cast<size_t>(id)]) return;
    queued_[static_cast<size_t>(id)] = true;
    queue_.push_back(id);
  }

  Status visit(NodeId id) {
    for (const auto& row : index_.of(graph_.node(id).op)) {
      if (row->rule->name == context_.without_rule) continue;
      // What a node waits for, those who read it wait for too.
      if (!graph_.node(id).control_inputs.empty()) return absl::OkStatus();
      for (const bool swapped : {false, true}) {
        std::optional<Pattern::Found> found = row->pattern.match(graph_, id, swapped);
        if (!found || !is_free(*row->rule, found->nodes)) continue;
        TENON_ASSIGN_OR_RETURN(const bool replaced, apply(*row->rule, *std::move(found)));
        if (replaced) return absl::OkStatus();
      }
    }
    return absl::OkStatus();
  }

  // Whether what is inside may be looked through, or be gone.
  bool is_free(const Rule& rule, std::span<const NodeId> nodes) {
    const auto is_found = [&](NodeId reader) {
      return std::find(nodes.begin(), nodes.end(), reader) != nodes.end();
    };
    for (NodeId inner : nodes.subspan(1)) {
      if (!rule.consumes) {
        if (!graph_.node(inner).control_inputs.empty()) return false;
        continue;
      }
      if (uses_.is_waited_for(inner)) return false;
      const auto outputs = static_cast<int32_t>(graph_.node(inner).outputs.size());
      for (int32_t i = 0; i < outputs; ++i) {
        if (!uses_.is_read_only_among({inner, i}, is_found)) return false;
      }
    }
    return true;
  }

  StatusOr<bool> apply(const Rule& rule, Pattern::Found found) {
    const NodeId before = graph_.size();
    Match match(graph_, shapes_ ? &*shapes_ : nullptr, std::move(found));
    const NodeId root = match.root_id();
    const std::string name = graph_.node(root).name;
    const std::vector<Endpoint> values = rule.replace(match);
    const bool holds = !values.empty() && values[0] && match.builder().status().ok() &&
                       is_wanted(rule, values[0]) && covers(root, values);
    if (!holds) {
      for (NodeId id = graph_.size() - 1; id >= before; --id) uses_.remove_if_unused(id);
      return false;
    }
    if (left_-- == 0) {
      return internal("rules of ", table_.name, " feed each other; the last was '", rule.name,
                      "' at node '", name, "'");
    }
    const std::string by = graph_.node(values[0].node).name;
    context_.note(rule.name, ": ", name, " (", graph_.node(root).op->name(), ") is ", by);
    if (context_.rewrites) context_.rewrites->push_back({rule.name, name, by});
    for (size_t i = 0; i < values.size(); ++i) {
      const Endpoint from{root, static_cast<int32_t>(i)};
      if (shapes_ && values[i].node >= before) shapes_->is_same(values[i], from);
      uses_.for_each_reader(from, [&](NodeId reader) { enqueue(reader); });
      uses_.replace_value(from, values[i]);
    }
    uses_.replace_control(root, values[0].node);
    uses_.remove_if_unused(root);
    for (NodeId id = before; id < graph_.size(); ++id) enqueue(id);
    changed_ = true;
    return true;
  }

  bool is_wanted(const Rule& rule, Endpoint value) const {
    return rule.wanted == Wanted::kAlways || context_.wants(graph_.node(value.node).op->name());
  }

  // Whether nobody misses an output, or waits for one value of several.
  bool covers(NodeId root, std::span<const Endpoint> values) {
    const size_t outputs = graph_.node(root).outputs.size();
    for (size_t i = values.size(); i < outputs; ++i) {
      if (uses_.is_read({root, static_cast<int32_t>(i)})) return false;
    }
    return values.size() == 1 || !uses_.is_waited_for(root);
  }

  Graph& graph_;
  const PassContext& context_;
  const RuleTable& table_;
  const RuleIndex& index_;
  Uses uses_;
  std::optional<SymbolicShapes> shapes_;
  int64_t left_;  // rewrites
  std::deque<NodeId> queue_;
  std::vector<bool> queued_;  // by NodeId
  bool changed_ = false;
};

}  // namespace

Endpoint Match::operator[](std::string_view name) const {
  for (const auto& [captured, value] : found_.captured) {
    if (captured == name) return value;
  }
  return {};
}

NodeId Match::add(std::string_view op, std::string_view name, std::vector<Endpoint> inputs,
                  AttrMap attrs) {
  std::vector<NodeId> controls;
  for (NodeId id : found_.nodes) {
    for (NodeId control : graph_.node(id).control_inputs) {
      if (std::find(controls.begin(), controls.end(), control) != controls.end()) continue;
      controls.push_back(control);
    }
  }
  const StatusOr<NodeId> added =
      graph_.add(op, name, std::move(inputs), std::move(attrs), std::move(controls));
  builder_.fail(added.status());
  return added.ok() ? *added : -1;
}

Status rewrite(Graph& graph, const PassContext& context, const RuleTable& table) {
  static std::mutex mutex;
  static std::map<std::string_view, StatusOr<RuleIndex>> indexes;
  const StatusOr<RuleIndex>* index = nullptr;
  {
    const std::lock_guard lock(mutex);
    auto it = indexes.find(table.name);
    if (it == indexes.end()) it = indexes.emplace(table.name, RuleIndex::make(table)).first;
    index = &it->second;
  }
  TENON_RETURN_IF_ERROR(index->status());
  std::optional<SymbolicShapes> shapes;
  if (table.needs_symbolic_shapes) {
    TENON_ASSIGN_OR_RETURN(shapes, SymbolicShapes::analyze(graph));
  }
  return RuleDriver(graph, context, table, **index, std::move(shapes)).run();
}

}  // namespace tenon
