// Layer: weights, child layers, and the graph ops that compute outputs from arguments. Nothing
// more: gradients come from autodiff, and output shapes from the ops' shape functions.
//
// A layer that is called on symbolic tensors (KTensor) records the call; Model turns recorded calls
// into graphs. docs/adding_a_layer.md walks through one. Not thread-safe.
#pragma once

#include <set>

#include "tenon/base/function_ref.h"
#include "tenon/core/variable.h"
#include "tenon/keras/arguments.h"
#include "tenon/keras/config.h"

namespace tenon::keras {

class Layer;
class Trace;

// kSeed: the state of a random layer; kState: what a stateful layer carries from batch to batch.
// They are no weights of the model, neither counted nor stored in its files.
enum class WeightKind : uint8_t { kTrainable, kNonTrainable, kSeed, kState };

struct Weight {
  std::string name;  // "kernel"
  std::string path;  // "lstm/lstm_cell/kernel": the variable's name, unique in a model
  DType dtype = DType::kFloat;
  Shape shape;
  Initializer initializer = "zeros";
  WeightKind kind = WeightKind::kTrainable;
  Regularizer regularizer = {};
  Constraint constraint = {};
  Ref<Variable> variable;  // null until a Model holds the layer
};

// A value of the weight's dtype and shape that is 0 everywhere.
Tensor zeros_of(const Weight& weight);

// Keras' dtype policies: what the weights are stored in, and what is computed in.
struct DTypePolicy {
  std::string name = "float32";
  DType variables = DType::kFloat;
  DType compute = DType::kFloat;

  // "float32", "float64", "float16", "bfloat16", "mixed_float16" or "mixed_bfloat16";
  // UNIMPLEMENTED names them.
  static StatusOr<DTypePolicy> of(std::string_view name);
  Json describe() const;
};

// One call of a layer; what a KTensor refers to.
struct Call;

// A symbolic tensor: shape and dtype, and which output of which call it is. Cheap to copy. After an
// error it carries the status on to whatever is built from it; Model::create reports it.
class KTensor {
 public:
  KTensor() = default;
  explicit KTensor(std::shared_ptr<const Call> call, size_t index = 0)
      : call_(std::move(call)), index_(index) {}
  const PartialShape& shape() const;
  DType dtype() const;
  const Status& status() const;
  const std::shared_ptr<const Call>& call() const { return call_; }
  size_t index() const { return index_; }
  // The layer that made it.
  const Layer& layer() const;

  // Another output of the same call: LSTM({.return_state = true})(x).output(1).
  KTensor output(size_t index) const { return KTensor(call_, index); }
  size_t num_outputs() const;

 private:
  std::shared_ptr<const Call> call_;
  size_t index_ = 0;
};

struct CallOutput {
  PartialShape shape;
  DType dtype = DType::kFloat;
};

struct Call {
  // An argument as Keras' JSON writes it. Where `has_tensors`, `form` is `true` for one tensor,
  // null for none, or lists and objects of these; the tensors stand in `inputs` in the order in
  // which for_each_leaf() goes over them.
  struct Argument {
    std::string name;
    bool has_tensors = false;
    Json form;
  };

  // Frees the calls below one by one: a chain of any length takes no stack.
  ~Call();

  std::shared_ptr<Layer> layer;
  std::vector<KTensor> inputs;  // of all arguments, in order
  std::vector<Argument> arguments;
  size_t positional = 1;  // so many arguments are written by place, the rest by name
  std::vector<CallOutput> outputs;
  Status status;
};

class Layer {
 public:
  Layer();
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  // "Dense": Keras' name of the class.
  virtual std::string_view class_name() const = 0;

  // The layer's own options; name, trainable and dtype are written by describe().
  virtual void fields(ConfigFields& fields) { (void)fields; }

  // The parameters of Keras' call(), in order, without "training".
  virtual std::span<const std::string_view> parameters() const;

  // Creates the weights and builds the children for these input shapes. Called once.
  virtual Status build(const Shapes& inputs) {
    (void)inputs;
    return absl::OkStatus();
  }

  // Adds the ops of one call. Errors go to the trace's builder. Called through apply().
  virtual Outputs call(Trace& trace, const Arguments& inputs) = 0;

  // Does a mask of the input go on to the output? Otherwise it ends here.
  virtual bool supports_masking() const { return false; }
  // Sets the masks of the outputs, Keras' compute_mask(). By default the n-th input's goes to the
  // n-th output where masks are supported.
  virtual void output_masks(Trace& trace, const Arguments& inputs, Outputs& outputs) const;
  // Keras' attention layers take the masks off their inputs for whoever uses these next.
  virtual bool takes_masks_away() const { return false; }

  // Keras' autocast: floating inputs arrive in the dtype that the policy computes in.
  virtual bool casts_inputs() const { return true; }
  // True for layers that take a list ("Add()([a, b])").
  virtual bool takes_list() const { return false; }
  // True where Keras' class is built by its constructor: its files then hold no build_config.
  virtual bool is_built_at_init() const { return false; }
  // An operation of keras.ops: a node of a network, no layer in its files of weights.
  virtual bool is_operation() const { return false; }
  // Keras writes "mask": null among the arguments of some layers' calls.
  virtual Json call_kwargs() const { return Json::object(); }
  // How many calls of layers one call makes: of a model within a model, all of its own.
  virtual size_t calls_within() const { return 1; }

  // Empty until set or until a Model names the layer.
  const std::string& name() const { return name_; }
  void set_name(std::string_view name) { name_ = name; }
  bool trainable() const { return trainable_; }
  // As in Keras, of the children too.
  void set_trainable(bool trainable);
  const DTypePolicy& policy() const { return policy_; }
  virtual void set_policy(DTypePolicy policy) { policy_ = std::move(policy); }
  // Sets the options that `config` names as Keras does, before the layer is built.
  // INVALID_ARGUMENT and UNIMPLEMENTED as read_config().
  Status read_options(Json config);
  // As read_options() of one; what is wrong is reported when the layer is built.
  void set_option(std::string_view name, const Json& value);
  bool built() const { return built_; }

  // A layer within this one. `group` is its place in files of weights ("cell",
  // "layers/dense_1").
  struct Child {
    std::string group;
    std::shared_ptr<Layer> layer;
  };
  const std::vector<Child>& children() const { return children_; }

  // The layer's own, without the children's.
  std::vector<Weight>& weights() { return weights_; }
  const std::vector<Weight>& weights() const { return weights_; }
  // Trainable ones first, as Keras lists and stores them; seeds left out.
  std::vector<Weight*> stored_weights();

  // Builds the layer if that has not happened.
  Status ensure_built(const Shapes& inputs);

  // Gives the weights their paths below `prefix`, those of the children below name(). Weights that
  // have a variable keep theirs.
  void set_paths(std::string_view prefix);

  // call() as Keras' __call__: inputs are cast to the policy's dtype, masks are handed in and set
  // on the outputs. Errors name the layer.
  Outputs apply(Trace& trace, Arguments inputs);

  // Layers are named in the order in which they were made: this counts them.
  int64_t serial() const { return serial_; }

  // {"module", "class_name", "config", "registered_name", "build_config"}, as Keras serialises it.
  virtual Json describe() const;
  // One more network holds the layer: from the second on, describe() writes an identity.
  void add_holder() { ++holders_; }

  // "layer 'dense' (Dense)", for messages.
  std::string who() const;

  // During build() only: the index of the new weight.
  size_t add_weight(std::string_view name, Shape shape, Initializer initializer,
                    WeightKind kind = WeightKind::kTrainable);
  size_t add_weight(std::string_view name, Shape shape, Initializer initializer, WeightKind kind,
                    DType dtype);

 protected:
  const Weight& weight(size_t index) const { return weights_[index]; }
  // The options of these names, "kernel_regularizer" or "bias_constraint": add_weight() gives each
  // weight its own. "recurrent_regularizer" is for "recurrent_kernel", "depthwise_regularizer" for
  // the one kernel of a layer too. "activity_regularizer" is for what the layer gives out.
  void rule_fields(ConfigFields& fields, std::initializer_list<std::string_view> names);
  // Gives a child the layer's own.
  void hand_rules(Layer& child) const;
  // Does the layer's own "activity_regularizer" judge its outputs, or those of its children?
  virtual bool judges_own_outputs() const { return true; }
  // Before the layer is built, or during build().
  void add_child(std::string_view group, std::shared_ptr<Layer> layer);
  // Keras' get_build_config().
  virtual Json describe_build() const;

 private:
  std::string name_;
  bool trainable_ = true;
  bool built_ = false;
  int64_t serial_;
  int holders_ = 0;
  DTypePolicy policy_;
  Status option_status_;
  Shapes build_shapes_;
  // By what their options are for: "kernel", "recurrent", "activity".
  std::map<std::string, Regularizer, std::less<>> regularizers_;
  std::map<std::string, Constraint, std::less<>> constraints_;
  std::vector<Weight> weights_;
  std::vector<Child> children_;
};

// `layer` and all below it, each once: a layer, then its children.
void visit_layers(const std::shared_ptr<Layer>& layer, std::set<const Layer*>& seen,
                  const std::function<void(Layer&)>& visit);

// A tensor argument of a symbolic call, by name; or a plain value.
struct NamedArgument {
  std::string name;
  std::vector<KTensor> tensors = {};
  bool is_list = false;
  Json value = {};
};

// A layer as the program holds it; calling it on symbolic tensors makes a new one.
class LayerRef {
 public:
  template <class T>
  requires std::is_base_of_v<Layer, T> LayerRef(std::shared_ptr<T> layer)  // NOLINT: implicit
      : layer_(std::move(layer)) {}
  KTensor operator()(const KTensor& input) const { return (*this)(std::vector<KTensor>{input}); }
  // For layers that take a list, the list; for others one argument each.
  KTensor operator()(std::vector<KTensor> inputs) const;
  // Arguments by the names of Keras' parameters: attention({{"query", {q}}, {"value", {v}}}).
  KTensor call(const std::vector<NamedArgument>& arguments) const;
  // As read from a file.
  KTensor call(std::vector<KTensor> inputs, std::vector<Call::Argument> arguments,
               size_t positional) const;
  // Sets an option by Keras' name, also those that the layer's function has no place for:
  // Dense({.units = 10}).with("kernel_regularizer", L2(1e-4)). What is wrong with it is reported
  // when the layer is built.
  const LayerRef& with(std::string_view option, const Json& value) const {
    layer_->set_option(option, value);
    return *this;
  }
  template <class T>
  requires requires(const T& value) { value.to_json(); }
  const LayerRef& with(std::string_view option, const T& value) const {
    return with(option, value.to_json());
  }
  Layer* operator->() const { return layer_.get(); }
  Layer& operator*() const { return *layer_; }
  const std::shared_ptr<Layer>& ptr() const { return layer_; }

 private:
  std::shared_ptr<Layer> layer_;
};

// Calls `visit` with the leaves of nested lists and objects; members of objects in the order of
// their names, as Keras flattens them.
void for_each_leaf(const Json& form, FunctionRef<void(const Json&)> visit);

// The arguments of a recorded call, with `tensors` in place of its inputs.
template <class T>
std::vector<typename ArgumentsOf<T>::Argument> arguments_of(const Call& call,
                                                            std::span<const T> tensors) {
  std::vector<typename ArgumentsOf<T>::Argument> arguments;
  for (const Call::Argument& argument : call.arguments) {
    arguments.push_back({argument.name, {}, argument.has_tensors ? Json() : argument.form});
    if (!argument.has_tensors) continue;
    for_each_leaf(argument.form, [&](const Json& leaf) {
      const bool given = leaf == Json(true) && !tensors.empty();
      arguments.back().tensors.push_back(given ? tensors[0] : T());
      if (given) tensors = tensors.subspan(1);
    });
  }
  return arguments;
}

// What the training step of one of several replicas knows of the others
// (keras/distribute/replicas.h).
struct Replication {
  int replicas = 1;
  Endpoint present;            // a bool: this replica has rows of its own
  Endpoint gradients, layers;  // communicators
};

// Trace: where layers, losses, metrics and optimizers add their ops.
//
// Reads and writes of one variable happen in the order of these calls. Control inputs say so: the
// order of the nodes would not, since gradient() makes loops wait for nodes that come later.
class Trace {
 public:
  Trace(Graph& graph, bool training) : build_(graph), training_(training) {}

  GraphBuilder& build() { return build_; }
  bool training() const { return training_; }
  // Whether shapes alone are asked for, by a graph that is thrown away.
  bool symbolic() const { return symbolic_; }
  void set_symbolic() { symbolic_ = true; }

  // Null where there are no other replicas.
  const Replication* replication() const { return replication_ ? &*replication_ : nullptr; }
  void set_replication(const Replication& replication) { replication_ = replication; }
  // The sums (or means) of `values`, of one dtype, over all replicas; themselves without others.
  std::vector<Endpoint> all_reduce(std::vector<Endpoint> values, bool mean);

  // Layers' penalties for what they give out go to `losses` from now on, one scalar each; without,
  // none is computed.
  void collect_losses(std::vector<Endpoint>& losses) { losses_ = &losses; }
  // The penalty for `output`, over its rows, as keras.Layer.__call__ adds it.
  void add_activity_loss(const Regularizer& regularizer, Endpoint output);

  // The resource of the weight's variable.
  Endpoint handle(const Weight& weight);
  // Its value after all writes so far; one ReadVariableOp between two writes. Within apply() of a
  // layer with a mixed policy, in the dtype that the layer computes in.
  Endpoint read(const Weight& weight);
  // As it is stored.
  Endpoint read_stored(const Weight& weight);
  // Has an op been added that changes the weight?
  bool has_written(const Weight& weight) const {
    const auto it = states_.find(&weight);
    return it != states_.end() && it->second.last_write >= 0;
  }
  // Adds an op that changes the weight: `op`(handle, inputs...).
  void write(std::string_view op, const Weight& weight, std::vector<Endpoint> inputs,
             AttrMap attrs = {});
  // As write(), for an op that changes several: `op`(their handles..., inputs...).
  void write_all(std::string_view op, std::span<const Weight* const> weights,
                 std::vector<Endpoint> inputs, AttrMap attrs = {});
  void assign(const Weight& weight, Endpoint value) {
    write("AssignVariableOp", weight, {value}, {{"dtype", weight.dtype}});
  }
  void assign_add(const Weight& weight, Endpoint value) {
    write("AssignAddVariableOp", weight, {value}, {{"dtype", weight.dtype}});
  }
  void assign_sub(const Weight& weight, Endpoint value) {
    write("AssignSubVariableOp", weight, {value}, {{"dtype", weight.dtype}});
  }

 private:
  friend class Layer;
  struct State {
    Endpoint handle;
    Endpoint value;  // of the read since the last write
    NodeId last_write = -1;
  };
  State& state(const Weight& weight);

  GraphBuilder build_;
  bool training_, symbolic_ = false;
  DType autocast_ = DType::kInvalid;  // what float weights are read in; invalid: as stored
  std::map<const Weight*, State> states_;
  std::optional<Replication> replication_;
  std::vector<Endpoint>* losses_ = nullptr;
  int reductions_ = 0;
};

// Adds `activation` by Keras' name ("relu"; "linear" is the input itself). UNIMPLEMENTED names the
// ones that exist.
Endpoint activate(GraphBuilder& build, std::string_view activation, Endpoint x);

// "Dense" -> "dense", "MaxPooling2D" -> "max_pooling2d", "ReLU" -> "re_lu": Keras' to_snake_case.
std::string to_snake_case(std::string_view class_name);

// [null, 28, 28], as Keras writes shapes.
Json shape_to_json(const PartialShape& shape);
// INVALID_ARGUMENT when it is no list of integers and nulls.
StatusOr<PartialShape> shape_from_json(const Json& json);

}  // namespace tenon::keras
