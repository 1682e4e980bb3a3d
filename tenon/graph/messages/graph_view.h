// Views of serialized GraphDefs: names and edges of nodes and functions, over the bytes of a file.
//
// Attributes and the bodies of functions are decoded when they are asked for, so that loading takes
// no memory for what nobody reaches. Immutable, safe from any thread. Bytes are untrusted: names
// may be anything, twice the same, and no UTF-8.
#pragma once

#include <map>

#include "tenon/core/attributes.h"
#include "tenon/graph/messages/constant_pool.h"
#include "tenon/graph/messages/message_bytes.h"

namespace tenon {

// Tensors that were taken out of their bytes, by the place where their AttrValue began.
using TakenTensors = std::map<const char*, Tensor>;

// Valid as long as the GraphView it comes from.
struct NodeView {
  std::string_view name;
  std::string_view op;
  std::string_view device;
  std::vector<std::string_view> inputs;
  std::string_view message;  // the serialized NodeDef
  const TakenTensors* taken = nullptr;

  // std::monostate where there is no such attribute; else as parse_attr().
  StatusOr<AttrValue> attr(std::string_view attr_name) const;
  // The string attribute; empty where there is none.
  std::string string_attr(std::string_view attr_name) const;
  // The attributes, without TensorFlow's hints to its runtime (names that start with '_').
  StatusOr<AttrMap> attrs() const;
  // How long the serialized value of an attribute is.
  size_t attr_bytes(std::string_view attr_name) const;
};

// An argument or a result of a function.
struct FunctionArgView {
  std::string_view name;
  int dtype = 0;         // a tensorflow.DataType, or any other number
  bool generic = false;  // it takes its type from an attribute
};

struct FunctionView {
  std::string_view name;
  std::vector<FunctionArgView> args;
  std::vector<FunctionArgView> results;
  std::vector<std::string_view> control_outputs;
  std::vector<NodeView> nodes;
  std::map<std::string_view, std::string_view> ret;          // result to tensor
  std::map<std::string_view, std::string_view> control_ret;  // control output to node
  std::map<uint64_t, PartialShape> arg_shapes;               // hints, by index of the argument
};

class GraphView {
 public:
  // A GraphDef. `bytes` are kept; everything is a view into them.
  static StatusOr<std::shared_ptr<const GraphView>> parse(std::string bytes);
  // A GraphDef in `pieces` of `owner`, merged where there are several. DATA_LOSS where it is
  // malformed outside of the attributes and of the bodies of functions. Large tensors become
  // Tensors at once, which all graphs that are imported share, and their bytes in `owner` are given
  // up.
  static StatusOr<std::shared_ptr<const GraphView>> parse(std::span<const std::string_view> pieces,
                                                          std::shared_ptr<MessageBytes> owner);

  struct Function {
    std::string_view name;
    std::string_view message;
  };
  const std::vector<NodeView>& nodes() const { return nodes_; }
  const std::vector<Function>& functions() const { return functions_; }
  // DATA_LOSS where the FunctionDef is malformed.
  StatusOr<FunctionView> body(const Function& function) const;

 private:
  Status add(std::string_view message);
  Status add_library(std::string_view message);

  Status take_tensors(const NodeView& node);

  std::shared_ptr<MessageBytes> owner_;
  TakenTensors taken_;
  ConstantPool constants_;  // of taken_, which functions may have in common
  std::vector<NodeView> nodes_;
  std::vector<Function> functions_;
};

}  // namespace tenon
