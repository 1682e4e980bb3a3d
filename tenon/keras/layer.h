// Layer: weights and the graph ops that compute outputs from inputs. Nothing more: gradients come
// from autodiff, and output shapes from the ops' shape functions.
//
// A layer that is called on symbolic tensors (KTensor) records the call; Model turns recorded calls
// into graphs. Not thread-safe.
#pragma once

#include "tenon/core/variable.h"
#include "tenon/graph/builder.h"
#include "tenon/keras/config.h"

namespace tenon::keras {

class Layer;
class Trace;

// kSeed: the state of a random layer; no weight of the model, neither counted nor stored in files.
enum class WeightKind : uint8_t { kTrainable, kNonTrainable, kSeed };

struct Weight {
  std::string name;  // "kernel"
  std::string path;  // "dense/kernel": the variable's name, unique in a model
  DType dtype = DType::kFloat;
  Shape shape;
  Initializer initializer = "zeros";
  WeightKind kind = WeightKind::kTrainable;
  Ref<Variable> variable;  // null until a Model holds the layer
};

// One call of a layer; what a KTensor refers to.
struct Call;

// A symbolic tensor: shape and dtype, and the call that makes it. Cheap to copy. After an error it
// carries the status on to whatever is built from it; Model::create reports it.
class KTensor {
 public:
  KTensor() = default;
  explicit KTensor(std::shared_ptr<const Call> call) : call_(std::move(call)) {}
  const PartialShape& shape() const;
  DType dtype() const;
  const Status& status() const;
  const std::shared_ptr<const Call>& call() const { return call_; }

 private:
  std::shared_ptr<const Call> call_;
};

struct Call {
  // Frees the calls below one by one: a chain of any length takes no stack.
  ~Call();

  std::shared_ptr<Layer> layer;
  std::vector<KTensor> inputs;
  PartialShape shape;
  DType dtype = DType::kFloat;
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

  // Creates the weights for these input shapes. Called once.
  virtual Status build(std::span<const PartialShape> inputs) {
    (void)inputs;
    return absl::OkStatus();
  }

  // Adds the ops of one call. Errors go to the trace's builder.
  virtual Endpoint call(Trace& trace, std::span<const Endpoint> inputs) = 0;

  // True for layers that take a list ("Add()([a, b])"): Keras nests their arguments once more.
  virtual bool takes_list() const { return false; }
  // True where Keras' class is built by its constructor: its files then hold no build_config.
  virtual bool is_built_at_init() const { return false; }
  // Keras writes "mask": null among the arguments of some layers' calls.
  virtual Json call_kwargs() const { return Json::object(); }

  // Empty until set or until a Model names the layer.
  const std::string& name() const { return name_; }
  void set_name(std::string_view name) { name_ = name; }
  bool trainable() const { return trainable_; }
  void set_trainable(bool trainable) { trainable_ = trainable; }
  bool built() const { return built_; }

  std::vector<Weight>& weights() { return weights_; }
  const std::vector<Weight>& weights() const { return weights_; }
  // Trainable ones first, as Keras lists and stores them; seeds left out.
  std::vector<Weight*> stored_weights();

  // Builds the layer if that has not happened.
  Status ensure_built(std::span<const PartialShape> inputs);

  // Layers are named in the order in which they were made: this counts them.
  int64_t serial() const { return serial_; }

  // {"module", "class_name", "config", "registered_name", "build_config"}, as Keras serialises it.
  virtual Json describe() const;

 protected:
  // During build() only. The reference stays valid until the next call.
  size_t add_weight(std::string_view name, Shape shape, Initializer initializer,
                    WeightKind kind = WeightKind::kTrainable, DType dtype = DType::kFloat);
  const Weight& weight(size_t index) const { return weights_[index]; }

 private:
  std::string name_;
  bool trainable_ = true;
  bool built_ = false;
  int64_t serial_;
  std::vector<PartialShape> build_shapes_;
  std::vector<Weight> weights_;
};

// A layer as the program holds it; calling it on symbolic tensors makes a new one.
class LayerRef {
 public:
  template <class T>
  requires std::is_base_of_v<Layer, T> LayerRef(std::shared_ptr<T> layer)  // NOLINT: implicit
      : layer_(std::move(layer)) {}
  KTensor operator()(const KTensor& input) const { return (*this)(std::vector<KTensor>{input}); }
  KTensor operator()(std::vector<KTensor> inputs) const;
  Layer* operator->() const { return layer_.get(); }
  Layer& operator*() const { return *layer_; }
  const std::shared_ptr<Layer>& ptr() const { return layer_; }

 private:
  std::shared_ptr<Layer> layer_;
};

// Trace: where layers, losses, metrics and optimizers add their ops.
//
// Reads and writes of one variable happen in the order of these calls (passes/order_effects.cc).
class Trace {
 public:
  Trace(Graph& graph, bool training) : build_(graph), training_(training) {}

  GraphBuilder& build() { return build_; }
  bool training() const { return training_; }

  // The resource of the weight's variable.
  Endpoint handle(const Weight& weight);
  // Its value after all writes so far; one ReadVariableOp between two writes.
  Endpoint read(const Weight& weight);
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
  struct State {
    Endpoint handle;
    Endpoint value;  // of the read since the last write
  };
  State& state(const Weight& weight);

  GraphBuilder build_;
  bool training_;
  std::map<std::string, State, std::less<>> states_;  // by path
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
