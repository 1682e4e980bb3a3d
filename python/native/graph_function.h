// GraphFunction: a Graph that Python calls: an eager op, a traced function, a gradient, a
// signature.
//
// What is common to them stands here once: how it runs, and how it is differentiated. Immutable but
// for what it makes at first use. Used under the interpreter's lock.
#pragma once

#include "python/native/value.h"
#include "tenon/core/interfaces.h"
#include "tenon/runtime/executable.h"

namespace tenon::python {

// Where one argument of a backward function comes from.
struct BackwardSource {
  enum Of : uint8_t { kInput, kOutput, kSaved, kGradient } of = kInput;
  size_t index = 0;
};

class GraphFunction;
class ReplicatedFunction;

// Where a function runs that nobody has placed: one that was traced on the default device, one of
// an eager op where its arguments are.
enum class Runs : uint8_t { kOnDefault, kWithArguments };

// The gradient of a GraphFunction for some of its outputs' gradients and some of its inputs.
struct Backward {
  std::shared_ptr<GraphFunction> function;  // null: nothing flows to these inputs
  std::vector<BackwardSource> sources;      // of its arguments
  std::vector<int> result_of_input;         // -1: no gradient flows there
};

class GraphFunction : public std::enable_shared_from_this<GraphFunction> {
 public:
  // `inputs` are what a caller gives, in order: _Args, as many and in the order of graph.args, and
  // among them constants and handles of variables, which the graph makes itself.
  // `files`: what its ops may read and write; null: none. Must outlive it.
  GraphFunction(Graph graph, std::vector<Endpoint> inputs, std::shared_ptr<ModelState> state,
                Runs runs, const FileAccess* files = nullptr);
  ~GraphFunction();

  const Graph& graph() const { return graph_; }
  const std::vector<Endpoint>& inputs() const { return inputs_; }
  size_t num_outputs() const { return graph_.results.size(); }

  // For the processor, planned at first use. Throws StatusError.
  const std::shared_ptr<Executable>& shared_executable() { return executable(cpu_device()); }

  // Runs on the inputs' tensors, where tf.device says or the graph itself. Gives the interpreter's
  // lock away meanwhile, unless the function is small. Of a plug-in's device it does not wait for
  // the results.
  void run(std::span<const Value> inputs, std::vector<Tensor>& results);

  // The same function with further results: the values that gradients want to know. This one itself
  // where inputs and outputs are all they can want.
  GraphFunction& saving();

  // For the outputs whose gradients are given and the inputs that want one. kSaved counts from the
  // first further result of saving(); of saving() itself there are none: what its gradient wants
  // beyond inputs and outputs is computed again. Throws StatusError, UNIMPLEMENTED for ops without
  // gradient.
  const Backward& backward(const std::vector<bool>& given, const std::vector<bool>& wanted);

 private:
  // The forward and the backward nodes in one graph.
  struct Differentiated {
    Graph graph;
    std::vector<Endpoint> dys;     // by output; invalid: none was asked for
    std::vector<Endpoint> dxs;     // by input
    std::vector<bool> is_forward;  // by NodeId
  };
  Differentiated differentiate(const std::vector<bool>& given) const;
  Backward extract(const Differentiated& from, const std::vector<bool>& given,
                   const std::vector<bool>& wanted) const;
  const std::shared_ptr<Executable>& executable(Device* device);
  Device* place(std::span<const Value> inputs) const;
  // Null where it runs as a whole.
  ReplicatedFunction* replicated();
  std::optional<BackwardSource> source_of(Endpoint forward) const;
  bool differentiable(Endpoint value) const;
  void make_saving();

  Graph graph_;
  std::vector<Endpoint> inputs_;
  std::vector<size_t> arg_inputs_;  // those of inputs_ that are _Args
  std::shared_ptr<ModelState> state_;
  std::shared_ptr<ModelState> streams_;  // of random numbers; null: those of state_
  const Runs runs_;
  const FileAccess* files_;
  // The devices that its nodes name: plug-ins', in order of their names, where there are any.
  std::vector<std::string> placed_;
  std::unique_ptr<ReplicatedFunction> replicated_;  // over several devices, where that can be
  bool is_whole_ = false;                           // it can not
  std::map<Device*, std::shared_ptr<Executable>> executables_;
  bool small_ = false;
  bool saves_itself_ = false;  // one op, or made by saving(): inputs and outputs are what is kept
  std::shared_ptr<GraphFunction> saving_;
  std::vector<Endpoint> saved_;
  std::unique_ptr<Differentiated> whole_;  // of functions of several nodes
  std::map<std::pair<std::vector<bool>, std::vector<bool>>, Backward> backwards_;
};

// Every file that the process may touch: programs read and write their own.
const FileAccess* all_files();

}  // namespace tenon::python
