#include <unordered_map>

#include "tenon/graph/effects.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

bool mergeable(const Graph& graph, const Node& node) {
  if (node.outputs.empty() || node.is("_Arg") || effects_of(graph, node).any()) return false;
  // Two equal TensorLists or handles are still two objects that may be changed.
  for (const ValueInfo& output : node.outputs) {
    if (output.dtype == DType::kVariant) return false;
  }
  // A handle without shared_name is named by its node.
  const auto* shared = node.attrs.get_if<std::string>("shared_name");
  return !shared || !shared->empty();
}

bool same_attrs(const AttrMap& a, const AttrMap& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) {
           return x.first == y.first && attr_equal(x.second, y.second);
         });
}

bool same(const Node& a, const Node& b) {
  return a.op == b.op && a.inputs == b.inputs && a.control_inputs == b.control_inputs &&
         a.device == b.device && same_attrs(a.attrs, b.attrs);
}

class Hash {
 public:
  void add(size_t value) { hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15u + (hash_ >> 29); }
  void add(std::string_view bytes) { add(std::hash<std::string_view>()(bytes)); }
  size_t value() const { return hash_; }

 private:
  size_t hash_ = 0;
};

// Op, inputs, and how large the attributes are: cheap, and mostly enough.
size_t form_of(const Node& node) {
  Hash hash;
  hash.add(std::hash<const void*>()(node.op));
  for (Endpoint input : node.inputs) {
    hash.add(static_cast<size_t>(input.node));
    hash.add(static_cast<size_t>(input.index));
  }
  for (const auto& [name, value] : node.attrs) {
    if (const auto* tensor = std::get_if<Tensor>(&value)) hash.add(tensor->num_bytes());
  }
  return hash.value();
}

// Everything that same() compares.
size_t content_of(const Node& node) {
  Hash hash;
  hash.add(node.device);
  for (NodeId control : node.control_inputs) hash.add(static_cast<size_t>(control));
  for (const auto& [name, value] : node.attrs) {
    hash.add(name);
    const auto* tensor = std::get_if<Tensor>(&value);
    if (!tensor) {
      hash.add(to_string(value));
    } else if (tensor->dtype() == DType::kString) {
      for (std::string_view text : tensor->span<std::string_view>()) hash.add(text);
    } else {
      hash.add(std::string_view(static_cast<const char*>(tensor->raw()), tensor->num_bytes()));
    }
  }
  return hash.value();
}

// The nodes seen so far. What a node holds is read only when another one has its form, so that a
// model's weights are not, and once, so that many equal ones cost as much as many different ones.
class SeenNodes {
 public:
  explicit SeenNodes(const Graph& graph) : graph_(graph) {}

  // The node that computes what `id` does; `id` itself, which is remembered, when there is none.
  NodeId find_or_add(NodeId id) {
    const auto [form, fresh] = by_form_.try_emplace(form_of(graph_.node(id)));
    Form& seen = form->second;
    if (fresh) {
      seen.only = id;
      return id;
    }
    if (seen.only >= 0) {
      seen.by_content.emplace(content_of(graph_.node(seen.only)), seen.only);
      seen.only = -1;
    }
    const size_t content = content_of(graph_.node(id));
    const auto [begin, end] = seen.by_content.equal_range(content);
    for (auto it = begin; it != end; ++it) {
      if (same(graph_.node(it->second), graph_.node(id))) return it->second;
    }
    seen.by_content.emplace(content, id);
    return id;
  }

 private:
  struct Form {
    NodeId only = -1;  // the one node of this form; -1: they are in `by_content`
    std::unordered_multimap<size_t, NodeId> by_content;
  };
  const Graph& graph_;
  std::unordered_map<size_t, Form> by_form_;
};

}  // namespace

Status eliminate_common_subexpressions(Graph& graph, const PassContext& context) {
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  SeenNodes seen(graph);
  Uses uses(graph);
  for (NodeId id : order) {
    const Node& node = graph.node(id);
    if (!mergeable(graph, node)) continue;
    const NodeId twin = seen.find_or_add(id);
    if (twin == id) continue;
    context.note("common subexpression: ", node.name, " is ", graph.node(twin).name);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const auto index = static_cast<int32_t>(i);
      uses.replace_value({id, index}, {twin, index});
    }
    uses.replace_control(id, twin);
    uses.remove_if_unused(id);
  }
  return absl::OkStatus();
}

}  // namespace tenon
