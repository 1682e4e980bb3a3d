// How an op becomes something that runs: Prepare -> Kernel -> KernelRun.
//
// A KernelFactory sees attributes and concrete shapes and returns a Kernel, a small callable that
// only touches pointers. Everything that can be decided is decided in the factory, once a Binding;
// the Kernel runs many times, from several threads at once, each with a KernelRun of its own.
#pragma once

#include "tenon/base/function_ref.h"
#include "tenon/core/attributes.h"
#include "tenon/core/precision.h"

namespace tenon {

class Device;
class FileAccess;
class FunctionRunner;
class KernelRun;
class OpDef;
class Prepare;
class ResourceStore;
class Stream;

using Kernel = std::function<Status(KernelRun&)>;

// UNIMPLEMENTED from a factory means "not mine": the next one is tried, and its message becomes
// part of the error when none is left. Any other error is final.
using KernelFactory = StatusOr<Kernel> (*)(Prepare&);

// What lives as long as one run: given to every kernel of that run.
struct RunContext {
  ResourceStore* resources = nullptr;  // variables and tables of the model
  const FileAccess* files = nullptr;   // which paths graph file ops may touch; null: none
  Stream* stream = nullptr;            // of the kernel's device; null: the kernel is the host's
  uint64_t seed = 0;                   // of random ops whose seed attributes are both 0
  // What this step reads of a variable on a device it is done with before anything changes it.
  bool reads_in_place = false;
  int depth = 0;  // nesting of function calls, bounded by the runtime
};

// What a factory sees. Valid during the call only.
class Prepare {
 public:
  virtual ~Prepare() = default;

  virtual const OpDef& op() const = 0;
  virtual std::string_view node_name() const = 0;
  virtual const AttrMap& attrs() const = 0;
  template <class T>
  const T& attr(std::string_view name) const {
    return attrs().get<T>(name);
  }

  virtual int num_inputs() const = 0;
  virtual DType input_dtype(int index) const = 0;
  virtual const Shape& input_shape(int index) const = 0;
  virtual int num_outputs() const = 0;
  virtual DType output_dtype(int index) const = 0;
  // Not fully known only when the kernel itself decides it (KernelRun::allocate_output).
  virtual const PartialShape& output_shape(int index) const = 0;

  // The value of an input, in host memory, when it is known already: a constant, a shape, a frozen
  // variable. Always known for the inputs that the op declares in `host_inputs`. Null otherwise.
  virtual const Tensor* constant(int index) const = 0;

  // True when constant(index) is the same for every Binding of the Plan: the value may be packed.
  virtual bool frozen(int index) const = 0;

  // The packed form of frozen input `index`, made by `pack` at most once a Plan for each `layout`
  // (a text that names the layout) and shared by all Bindings.
  virtual StatusOr<Ref<Buffer>> packed(int index, std::string_view layout,
                                       FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack) = 0;

  // Threads of the team that will run the kernel.
  virtual int team() const = 0;
  virtual Precision precision() const = 0;
  virtual ResourceStore* resources() const = 0;
  // Where the random streams of nodes are: resources(), or the function's own.
  virtual ResourceStore* streams() const = 0;

  // Memory that the kernel may use while it runs: KernelRun::scratch(). The largest request counts.
  virtual void reserve_scratch(size_t bytes) = 0;

  // Output may be written over the memory of input: allowed when each element of the output is
  // written after the same bytes of the input were read for the last time.
  virtual void may_overwrite(int input, int output) = 0;

  // The function that attribute `name` refers to, or element `index` of a list of functions.
  virtual StatusOr<std::shared_ptr<FunctionRunner>> function(std::string_view name,
                                                             int index = 0) = 0;
};

// One execution of one kernel. Not thread-safe; parallel_for inside the kernel may read it.
class KernelRun {
 public:
  KernelRun(Tensor* const* inputs, int num_inputs, Tensor* const* outputs, int num_outputs,
            void* scratch, RunContext& context)
      : inputs_(inputs),
        outputs_(outputs),
        num_inputs_(num_inputs),
        num_outputs_(num_outputs),
        scratch_(scratch),
        context_(context) {}
  virtual ~KernelRun() = default;

  int num_inputs() const { return num_inputs_; }
  int num_outputs() const { return num_outputs_; }
  const Tensor& input(int index) const { return *inputs_[index]; }
  Tensor& output(int index) { return *outputs_[index]; }
  template <class T>
  const T* in(int index) const {
    return inputs_[index]->data<T>();
  }
  template <class T>
  T* out(int index) {
    return outputs_[index]->mutable_data<T>();
  }

  // 64-byte aligned, of the size that the factory reserved; its content is undefined.
  template <class T = void>
  T* scratch() {
    return static_cast<T*>(scratch_);
  }

  // For outputs whose shape only the kernel knows: memory for output `index` under `shape`.
  Status allocate_output(int index, const Shape& shape) {
    TENON_ASSIGN_OR_RETURN(*outputs_[index], allocate(outputs_[index]->dtype(), shape));
    return absl::OkStatus();
  }
  // Shares `tensor` as output `index`.
  void set_output(int index, Tensor tensor) { *outputs_[index] = std::move(tensor); }

  // A temporary that may also be kept: it lives as long as somebody holds it.
  virtual StatusOr<Tensor> allocate(DType dtype, const Shape& shape) = 0;

  RunContext& context() { return context_; }

 private:
  Tensor* const* inputs_;
  Tensor* const* outputs_;
  int num_inputs_;
  int num_outputs_;
  void* scratch_;
  RunContext& context_;
};

}  // namespace tenon
