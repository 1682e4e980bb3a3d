// Trace: a function of the graph while Python writes it.
//
// While one is current on a thread, ops add nodes to it instead of running. Values from outside are
// captured: small integers and texts as constants, everything else as further arguments; variables
// by their handles. Reads and writes of a variable, and ops that reach outside, keep the order in
// which Python called them. Used by one thread.
#pragma once

#include "python/native/graph_function.h"
#include "python/native/variable.h"
#include "tenon/graph/builder.h"

namespace tenon::python {

class Trace : public std::enable_shared_from_this<Trace> {
 public:
  // The one that ops of this thread go to; null: they run.
  static Trace* current();
  static void push(std::shared_ptr<Trace> trace);  // null: ops run until it is popped
  static void pop();

  // `outer`: the trace whose nodes will run this function (a branch, a loop's body); null: Python.
  explicit Trace(std::shared_ptr<Trace> outer);

  Value constant(const Tensor& value);

  // An argument. All are added before anything else is.
  Value argument(std::string_view name, DType dtype, PartialShape shape);

  std::vector<Value> add(const OpDef& op, std::span<const Value> inputs, AttrMap attrs,
                         std::string_view name);
  std::vector<Value> inline_function(const GraphFunction& function, std::span<const Value> inputs);

  Value handle_of(const VariableObject& variable);
  Value read(const VariableObject& variable);

  // Orders and records the nodes from `first` on, which somebody added to graph().
  void record_nodes_from(NodeId first);
  // Has the active tapes record all that stands here already.
  void record_again();

  // The place of `value` here: itself, or its capture. INVALID_ARGUMENT where it belongs to a trace
  // that is neither this one nor around it.
  Endpoint enter(const Value& value);
  Value value(Endpoint endpoint);

  // The arguments from `first` on become those for `captures`, in this order: two branches, or a
  // loop's condition and body, take the same. What was captured must be among them.
  void take(size_t first, std::span<const Value> captures);

  // What was captured, in the order of the arguments that stand for it.
  const std::vector<Value>& captures() const { return captures_; }
  // Python's objects of the variables whose handles are in the graph, by input of function().
  const std::vector<nb::object>& variables() const { return variable_objects_; }

  // What `value`, of this trace, is wherever that depends on no argument and no variable: so are
  // the first values of variables that are made while a function is traced. What draws does so
  // anew.
  std::optional<Value> lifted(Endpoint value) const;

  // Ends the trace.
  void set_results(std::span<const Value> results);
  // Inputs: arguments, captures, then handles of variables. Ends the trace.
  std::shared_ptr<GraphFunction> function();
  // The function of a branch or a body, put into the library. Ends the trace.
  std::string add_to_library(std::string_view prefix);

  Graph& graph() { return graph_; }
  std::vector<Value> inputs_of(NodeId node);
  std::vector<Value> outputs_of(NodeId node);

  // Whether `other` is a trace around this one.
  bool is_inside(const Trace& other) const;

 private:
  struct ResourceOrder {
    NodeId written = -1;
    std::vector<NodeId> read;  // since then
  };
  void record(NodeId node);
  void touch(int64_t variable);
  void order(NodeId node);
  void order_resource(NodeId node, Endpoint resource, bool writes);
  Endpoint capture(const Value& value);

  std::shared_ptr<Trace> outer_;
  Graph graph_;
  GraphBuilder builder_;
  std::map<Endpoint, int64_t> ids_;
  std::map<int64_t, Endpoint> entered_;  // captures by the id of what they stand for
  std::vector<Value> captures_;
  std::map<int64_t, Endpoint> handles_;             // of variables, by their id
  std::map<int64_t, nb::object> variables_inside_;  // by their id
  std::map<int64_t, Endpoint> reads_;               // of variables since they were last written
  std::vector<Endpoint> handle_inputs_;
  std::vector<nb::object> variable_objects_;
  std::map<Endpoint, ResourceOrder> resources_;
  NodeId last_outside_ = -1;
};

// While it lives, ops of this thread go to a trace.
struct Within {
  explicit Within(std::shared_ptr<Trace> trace) { Trace::push(std::move(trace)); }
  ~Within() { Trace::pop(); }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;
};

// While it lives, ops of this thread run.
struct Untraced {
  Untraced() { Trace::push(nullptr); }
  ~Untraced() { Trace::pop(); }
  Untraced(const Untraced&) = delete;
  Untraced& operator=(const Untraced&) = delete;
};

void register_trace(nb::module_& m);

}  // namespace tenon::python
