// Nodes and functions as TensorFlow's messages, piece by piece: what GraphDefs are made of. The
// bytes are those of protobuf's deterministic serialization.
#pragma once

#include <set>

#include "tenon/graph/graph.h"

namespace tenon {

// Serialized NodeDefs, as a repeated field of the message they belong to.
class NodeDefList {
 public:
  enum class Of : uint32_t { kGraph = 1, kFunction = 3 };  // the field's number there
  explicit NodeDefList(Of of) : number_(static_cast<uint32_t>(of)) {}

  // `inputs` as the place demands: "node", "node:1", "^node"; in functions "node:output:1".
  void add(std::string_view name, std::string_view op, const std::vector<std::string>& inputs,
           const AttrMap& attrs = {}, std::string_view device = "");
  const std::string& bytes() const { return bytes_; }

 private:
  uint32_t number_;
  std::string bytes_;
};

// One FunctionDef. Arguments and results keep their order.
class FunctionDefWriter {
 public:
  explicit FunctionDefWriter(std::string_view name) : name_(name) {}

  void add_arg(std::string_view name, DType dtype);
  // With dtype and shape of the _Arg `node`.
  void add_arg(std::string_view name, const Node& node);
  // `tensor` is what the result is: "node:output:1".
  void add_result(std::string_view name, DType dtype, std::string_view tensor);
  // A node that runs though no result needs it.
  void add_control_output(std::string_view node);
  void set_stateful(bool stateful) { stateful_ = stateful; }
  NodeDefList& nodes() { return nodes_; }

  const std::string& name() const { return name_; }
  std::string serialize() const;

 private:
  std::string name_;
  bool stateful_ = false;
  uint32_t num_args_ = 0;
  std::string args_, results_, arg_attrs_;  // serialized fields
  NodeDefList nodes_{NodeDefList::Of::kFunction};
  std::map<std::string, std::string, std::less<>> ret_;
  std::vector<std::string> control_outputs_;
};

// The functions of one GraphDef, in the order in which they were added.
class FunctionDefList {
 public:
  bool contains(std::string_view name) const { return by_name_.contains(name); }
  // A name that is not taken: "<prefix>_0", "<prefix>_1", ...
  std::string free_name(std::string_view prefix) const;
  // ALREADY_EXISTS when another function of this name stands there; an equal one is left alone.
  Status add(const FunctionDefWriter& function);
  // A FunctionDefLibrary.
  const std::string& bytes() const { return bytes_; }

 private:
  struct Place {
    size_t begin;
    size_t size;
  };
  std::map<std::string, Place, std::less<>> by_name_;  // of each FunctionDef in bytes_
  std::string bytes_;
};

}  // namespace tenon
