// The declaration of an op: everything Tenon knows about it stands in one TENON_OP.
//
//   TENON_OP(Softmax) = {
//       .inputs = "logits: T",
//       .outputs = "softmax: T",
//       .attrs = "T: {half, bfloat16, float, double}",
//       .shape = same_as_input<0>,
//       .rows = Rows::kIndependentUnlessRank1,
//       .gradient = [](Gradient& g) { ... },
//       .kernels = {make_softmax},
//   };
//
// A missing shape, gradient or kernel does not compile; the texts are checked by the compiler too.
// The declaration is a constant: nothing runs before main. Functions that make declarations are
// constexpr, not consteval: clang 14 crashes where one consteval function hands its arguments to
// another. The build finds every TENON_OP in ops/ and puts it in the table of register_all_ops()
// (tools/gen_op_table.cmake).
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <variant>

#include "tenon/core/kernel.h"
#include "tenon/core/shape.h"

namespace tenon {

class Gradient;      // tenon/graph/gradient.h
class ShapeContext;  // tenon/core/shape_context.h

namespace kernels {
enum class UnaryOp : uint8_t;   // tenon/kernels/elementwise.h
enum class BinaryOp : uint8_t;  // tenon/kernels/elementwise.h
}  // namespace kernels

namespace op_internal {
// Called in a constant expression, it stops the compiler with its name in the message.
void malformed_op_text();
consteval bool is_identifier_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
}  // namespace op_internal

// "x: T, axes: Tidx", "values: N * T", "args: Tin" (a list(type) attribute), "ref: Ref(T)": as in
// OpDef, separated by commas.
struct ArgsText {
  consteval ArgsText(const char* text) : text(text) {  // NOLINT: implicit, literals only
    bool name = false, type = false, colon = false;
    for (char c : this->text) {
      if (c == ',') {
        if (!name || !type) op_internal::malformed_op_text();
        name = type = colon = false;
      } else if (c == ':') {
        if (colon || !name) op_internal::malformed_op_text();
        colon = true;
      } else if (op_internal::is_identifier_char(c)) {
        (colon ? type : name) = true;
      } else if (c != ' ' && c != '*' && c != '(' && c != ')') {
        op_internal::malformed_op_text();
      }
    }
    if (!this->text.empty() && (!name || !type)) op_internal::malformed_op_text();
  }
  // Of a plug-in: OpDef::parse() checks it. `text` must outlive the declaration.
  explicit ArgsText(std::string_view text) : text(text) {}
  std::string_view text;
};

// "T: {float, double}; Tidx: {int32, int64} = int32; keep_dims: bool = false; N: int >= 1;
// body: func; shapes: list(shape) = []": as in OpDef, separated by semicolons. `type` with no set
// is any dtype; a set may hold `floating`, `integer`, `real`, `complex`, `numeric`.
struct AttrsText {
  consteval AttrsText(const char* text) : text(text) {  // NOLINT: implicit, literals only
    bool name = false, type = false, colon = false;
    int braces = 0;
    for (char c : this->text) {
      if (c == ';') {
        if (!name || !type || braces != 0) op_internal::malformed_op_text();
        name = type = colon = false;
      } else if (c == ':' && !colon) {
        if (!name) op_internal::malformed_op_text();
        colon = true;
      } else {
        if (c == '{') ++braces;
        if (c == '}') --braces;
        if (c != ' ') (colon ? type : name) = true;
      }
    }
    if (braces != 0 || (!this->text.empty() && (!name || !type))) op_internal::malformed_op_text();
  }
  // As ArgsText.
  explicit AttrsText(std::string_view text) : text(text) {}
  std::string_view text;
};

// What an op does besides computing its outputs. Ops that touch a resource name it as an input.
enum class Effect : uint8_t {
  kNone,
  kRead,     // reads the resources among its inputs
  kWrite,    // changes them
  kRandom,   // draws from a generator: two equal nodes are not the same value
  kOutside,  // files, printing, assertions: kept, in program order
  kCall,     // what the functions that it runs do: see tenon/graph/effects.h
  // Meets the other replicas of a group, the communicator among its inputs: those of one group keep
  // their order, and wait for nothing else.
  kCollective,
};

// May requests be merged through the op along dimension 0 (DESIGN section 3, "Merging requests")?
// "Independent": row i of every output depends on row i of the inputs that have the batch
// dimension.
enum class Rows : uint8_t {
  kMixed,                  // no
  kIndependent,            // yes
  kIndependentUnlessRank1  // yes, but a rank-1 input is one row
};

// The Rows of an op, or, where they hang on an axis, how a node tells them from its attributes, its
// inputs' shapes and its constants. Inputs whose dimension 0 is not known hold the rows.
struct RowsRule {
  constexpr RowsRule(Rows rows) : rows(rows) {}  // NOLINT: implicit
  constexpr RowsRule(Rows (*function)(const ShapeContext&)) : function(function) {}  // NOLINT
  Rows of(const ShapeContext& node) const { return function ? function(node) : rows; }
  Rows rows = Rows::kMixed;
  Rows (*function)(const ShapeContext&) = nullptr;
};

// Bit i: input i is a small tensor in host memory (axes, a shape, paddings) that shape function and
// kernel factory read. -1 is the last input (ConcatV2's axis).
struct HostInputs {
  constexpr HostInputs() = default;
  constexpr HostInputs(std::initializer_list<int> indices) {
    for (int index : indices) {
      if (index < 0) {
        last = true;
      } else {
        bits |= uint64_t{1} << index;
      }
    }
  }
  constexpr bool contains(int index, size_t count) const {
    if (everything || (last && static_cast<size_t>(index) + 1 == count)) return true;
    return index < 64 && ((bits >> index) & 1) != 0;
  }
  static constexpr HostInputs all() {
    HostInputs inputs;
    inputs.everything = true;
    return inputs;
  }
  uint64_t bits = 0;
  bool last = false;
  bool everything = false;
};

// A required member of a declaration: a function pointer that must be given.
template <class Function>
struct Required {
  constexpr Required(Function* function) : function(function) {}  // NOLINT: implicit
  template <class Lambda>
  requires std::is_convertible_v<Lambda, Function*>
  constexpr Required(Lambda lambda) : function(lambda) {}  // NOLINT: implicit
  Function* function;
};

using ShapeFn = Required<Status(ShapeContext&)>;

// Adds the gradient's nodes to the graph; see tenon/graph/gradient.h. Null (`not_differentiable`):
// TensorFlow registers no gradient for the op (NotDifferentiable), and none flows through it.
#ifdef TENON_LITE
// Taken and forgotten, so that none of its code is linked.
struct GradientFn {
  template <class Function>
  constexpr GradientFn(Function) {}  // NOLINT: implicit
  static constexpr Status (*function)(Gradient&) = nullptr;
};
#else
using GradientFn = Required<Status(Gradient&)>;
#endif
inline constexpr Status (*not_differentiable)(Gradient&) = nullptr;

// CPU factories in the order in which they are tried, the reference last.
struct KernelList {
  constexpr KernelList(std::initializer_list<KernelFactory> factories) {  // NOLINT: implicit
    for (KernelFactory factory : factories) list[static_cast<size_t>(size++)] = factory;
  }
  std::array<KernelFactory, 4> list{};
  int size = 0;
};

struct OpDecl {
  ArgsText inputs;
  ArgsText outputs;
  AttrsText attrs = "";
  Effect effect = Effect::kNone;
  HostInputs host_inputs = {};
  // The output of this index is in host memory whatever the device (Shape, Size, Rank).
  HostInputs host_outputs = {};
  // Output 0 is input `view_of` under another shape: no memory, no kernel run.
  int8_t view_of = -1;
  // Where output 0 has the shape of this input it is this input (Sum over no axes, Tile by ones).
  int8_t view_if_same_shape = -1;
  // The kernel sets its outputs itself (KernelRun::set_output), so none are allocated for it: a
  // variable's value, the results of a function, objects.
  bool supplies_outputs = false;
  // View ops share their input, so they set their output too.
  constexpr bool sets_outputs() const { return supplies_outputs || view_of >= 0; }
  // The kernel hands on references and touches no elements: its inputs and outputs may be in any
  // device's memory. View ops are such ops.
  bool by_reference = false;
  constexpr bool touches_no_elements() const { return by_reference || view_of >= 0; }
  // Outputs depend on the inputs' shapes alone (Shape, ShapeN, Rank, Size).
  bool needs_only_shapes = false;
  ShapeFn shape;
  RowsRule rows = Rows::kMixed;
  GradientFn gradient;
  // Of an element-wise op: its loop for floats, by which it is fused with its neighbours.
  std::variant<std::monostate, kernels::UnaryOp, kernels::BinaryOp> loop = {};
  KernelList kernels;
  // Of a plug-in's op: where the functions above find what the plug-in gave (runtime/plugin_op.h).
  const void* plugin_op = nullptr;
};

#define TENON_OP(Name)                          \
  extern const ::tenon::OpDecl tenon_op_##Name; \
  constinit const ::tenon::OpDecl tenon_op_##Name

// --- the parsed form ---

struct ArgDef {
  std::string name;
  DType dtype = DType::kInvalid;  // fixed dtype, or kInvalid: given by an attribute
  std::string type_attr;          // attribute of kind type
  std::string number_attr;        // attribute of kind int: the argument is that many tensors
  std::string type_list_attr;     // attribute of kind list(type): one tensor for each
  bool is_ref = false;
};

enum class AttrKind : uint8_t { kInt, kFloat, kBool, kString, kType, kShape, kTensor, kFunc };

struct AttrDef {
  std::string name;
  AttrKind kind = AttrKind::kInt;
  bool is_list = false;
  std::optional<AttrValue> default_value;
  std::optional<int64_t> minimum;            // of an int, or of a list's length
  std::vector<DType> allowed_types;          // empty: any
  std::vector<std::string> allowed_strings;  // empty: any
};

// Immutable once registered.
class OpDef {
 public:
  // Parses the texts of `decl`. INVALID_ARGUMENT names the op and the piece that does not parse.
  static StatusOr<std::unique_ptr<OpDef>> parse(std::string_view name, const OpDecl& decl);

  const std::string& name() const { return name_; }
  const OpDecl& decl() const { return *decl_; }
  const std::vector<ArgDef>& inputs() const { return inputs_; }
  const std::vector<ArgDef>& outputs() const { return outputs_; }
  const std::vector<AttrDef>& attrs() const { return attrs_; }
  const AttrDef* find_attr(std::string_view name) const;
  std::span<const KernelFactory> kernels() const {
    return {decl_->kernels.list.data(), static_cast<size_t>(decl_->kernels.size)};
  }

  // The dtypes of all input (output) tensors of a node with these attributes, lists spread out.
  std::vector<DType> input_dtypes(const AttrMap& attrs) const { return dtypes(inputs_, attrs); }
  std::vector<DType> output_dtypes(const AttrMap& attrs) const { return dtypes(outputs_, attrs); }

  // Index of the first tensor of output argument `name` and how many it has; nullopt if no such.
  struct Range {
    int begin;
    int count;
  };
  std::optional<Range> output_range(std::string_view name, const AttrMap& attrs) const;

  // Puts defaults in and checks presence, kinds and constraints. INVALID_ARGUMENT names attribute,
  // what was found and what is allowed.
  Status complete_attrs(AttrMap& attrs) const;

  // A node of this op was made. Thread-safe.
  void note_use() const { used_.store(true, std::memory_order_relaxed); }
  bool used() const { return used_.load(std::memory_order_relaxed); }

 private:
  OpDef(std::string_view name, const OpDecl& decl) : name_(name), decl_(&decl) {}
  static std::vector<DType> dtypes(const std::vector<ArgDef>& args, const AttrMap& attrs);

  std::string name_;
  const OpDecl* decl_;
  std::vector<ArgDef> inputs_;
  std::vector<ArgDef> outputs_;
  std::vector<AttrDef> attrs_;
  mutable std::atomic<bool> used_{false};
};

// All ops of this process. Filled once by the composition root, before any thread that reads it;
// ops of plug-ins are added the same way. Afterwards it is read-only.
class OpRegistry {
 public:
  static OpRegistry& global();

  // `decl` must outlive the registry. ALREADY_EXISTS when the name is taken, INVALID_ARGUMENT when
  // a text does not parse.
  Status add(std::string_view name, const OpDecl& decl);

  // Null when no such op is implemented.
  const OpDef* find(std::string_view name) const;

  // UNIMPLEMENTED: why there is no op of this name.
  Status missing(std::string_view name) const;

  // What is missing was left out of this build, which is for certain models (docs/lite.md, "One
  // model's kernels"), and not forgotten.
  void note_left_out() { left_out_ = true; }
  bool left_out() const { return left_out_; }

  // Sorted by name.
  std::vector<const OpDef*> all() const;

 private:
  std::map<std::string, std::unique_ptr<OpDef>, std::less<>> ops_;
  bool left_out_ = false;
};

}  // namespace tenon
