// Ops in plug-ins: a C++ layer over tenon/plugin.h. Header-only; needs nothing but this folder.
//
//   #include "tenon/plugin_op.h"
//   namespace p = tenon::plugin;
//
//   p::Result<p::Kernel> make_scale(p::Prepare& prepare) {
//     return p::Kernel([factor = prepare.attr<float>("factor")](p::KernelRun& r) {
//       p::parallel_for(r.size(0), 4096, [&](int64_t begin, int64_t end) {
//         for (int64_t i = begin; i < end; ++i) r.out<float>(0)[i] = factor * r.in<float>(0)[i];
//       });
//       return p::Status();
//     });
//   }
//
//   TENON_PLUGIN_OP(Scale) = {
//       .inputs = "x: float",
//       .outputs = "y: float",
//       .attrs = "factor: float = 2.0",
//       .rows = p::Rows::kIndependent,
//       .shape = p::same_as_input<0>,
//       .gradient = [](p::Gradient& g) {
//         g.set_dx(0, g.op("Scale", {g.dy()}, {{"factor", g.attr<float>("factor")}}));
//         return p::Status();
//       },
//       .kernels = {make_scale},
//   };
//   TENON_PLUGIN("my_ops");
//
// Texts, shape functions, kernels and gradients follow the rules of tenon/core/op.h. A kernel may
// be called from several threads at once and must not write its captures.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tenon/plugin_values.h"

// Hidden: two plug-ins of one process must not share what is static here.
#pragma GCC visibility push(hidden)
namespace tenon::plugin {

class ShapeContext {
 public:
  explicit ShapeContext(TenonShapes* shapes) : shapes_(shapes) {}
  template <class T>
  T attr(const char* name) const {
    return Attrs(host()->shapes_attrs(shapes_)).get<T>(name);
  }
  int num_inputs() const { return host()->shapes_num_inputs(shapes_); }
  int num_outputs() const { return host()->shapes_num_outputs(shapes_); }
  ShapeView input(int index) const { return ShapeView(host()->shapes_input(shapes_, index)); }
  // The elements of an input whose value is known; null otherwise.
  template <class T>
  const T* constant(int index) const {
    TenonTensor value{};
    return host()->shapes_constant(shapes_, index, &value) ? static_cast<const T*>(value.data)
                                                           : nullptr;
  }
  Status set_output(int index, std::span<const int64_t> dims) {
    return Status::from(
        host()->set_output_shape(shapes_, index, static_cast<int32_t>(dims.size()), dims.data()));
  }
  Status set_output(int index, ShapeView shape) {
    return shape.has_rank() ? set_output(index, shape.dims()) : set_unknown(index);
  }
  Status set_unknown(int index) {
    return Status::from(host()->set_output_shape(shapes_, index, -1, nullptr));
  }

 private:
  TenonShapes* shapes_;
};

// All outputs have the shape of input `index`.
template <int index>
Status same_as_input(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    if (Status status = c.set_output(i, c.input(index)); !status.ok()) return status;
  }
  return {};
}

class Prepare {
 public:
  explicit Prepare(TenonPrepare* prepare) : prepare_(prepare) {}
  template <class T>
  T attr(const char* name) const {
    return Attrs(host()->prepare_attrs(prepare_)).get<T>(name);
  }
  int num_inputs() const { return host()->prepare_num_inputs(prepare_); }
  int num_outputs() const { return host()->prepare_num_outputs(prepare_); }
  DType input_dtype(int i) const {
    return static_cast<DType>(host()->prepare_input(prepare_, i).dtype);
  }
  ShapeView input_shape(int i) const { return ShapeView(host()->prepare_input(prepare_, i)); }
  DType output_dtype(int i) const {
    return static_cast<DType>(host()->prepare_output(prepare_, i).dtype);
  }
  ShapeView output_shape(int i) const { return ShapeView(host()->prepare_output(prepare_, i)); }
  int threads() const { return host()->prepare_threads(prepare_); }
  // Its value, in host memory, when it is known already; null otherwise.
  template <class T>
  const T* constant(int i) const {
    TenonTensor value{};
    return host()->prepare_constant(prepare_, i, &value) ? static_cast<const T*>(value.data)
                                                         : nullptr;
  }
  bool frozen(int i) const { return host()->prepare_frozen(prepare_, i) != 0; }
  void reserve_scratch(size_t bytes) { host()->reserve_scratch(prepare_, bytes); }
  size_t reserve_temporary(size_t bytes) { return host()->reserve_temporary(prepare_, bytes); }
  void may_overwrite(int input, int output) { host()->may_overwrite(prepare_, input, output); }

 private:
  TenonPrepare* prepare_;
};

class KernelRun {
 public:
  explicit KernelRun(TenonRun* run) : run_(run) {}
  ShapeView input_shape(int i) const { return ShapeView(host()->run_input(run_, i).type); }
  int64_t size(int input) const { return input_shape(input).num_elements(); }
  template <class T>
  const T* in(int i) const {
    return static_cast<const T*>(host()->run_input(run_, i).data);
  }
  template <class T>
  T* out(int i) {
    return static_cast<T*>(host()->run_output(run_, i).data);
  }
  std::string_view string(int input, int64_t index) const {
    const TenonTensor tensor = host()->run_input(run_, input);
    const TenonText text = host()->string_at(&tensor, index);
    return {text.data, text.size};
  }
  template <class T = void>
  T* scratch() {
    return static_cast<T*>(host()->run_scratch(run_));
  }
  // For outputs whose shape only the kernel knows.
  Status allocate_output(int i, std::span<const int64_t> dims) {
    TenonTensor output{};
    return Status::from(
        host()->allocate_output(run_, i, static_cast<int32_t>(dims.size()), dims.data(), &output));
  }
  Status set_strings(int i, std::span<const int64_t> dims, std::span<const std::string> texts) {
    std::vector<TenonText> views;
    for (const std::string& text : texts) views.push_back({text.data(), text.size()});
    return Status::from(host()->set_strings(run_, i, static_cast<int32_t>(dims.size()), dims.data(),
                                            views.data(), views.size()));
  }

 private:
  TenonRun* run_;
};

// Calls body(begin, end) for pieces of [0, count) of at least `grain`, inside a kernel.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
  host()->parallel_for(
      count, grain,
      [](void* data, int64_t begin, int64_t end) { (*static_cast<const Body*>(data))(begin, end); },
      const_cast<Body*>(&body));
}

using Endpoint = TenonEndpoint;

class Gradient {
 public:
  using Value = std::variant<int64_t, float, bool, std::string, DType, std::vector<int64_t>,
                             std::vector<float>, std::vector<std::string>, std::vector<DType>>;
  struct Attr {
    const char* name;
    Value value;
  };

  explicit Gradient(TenonGradient* gradient) : gradient_(gradient) {}
  template <class T>
  T attr(const char* name) const {
    return Attrs(host()->gradient_attrs(gradient_)).get<T>(name);
  }
  Endpoint input(int i) const { return host()->gradient_input(gradient_, i); }
  Endpoint output(int i) const { return host()->gradient_output(gradient_, i); }
  // Gradient of the loss with respect to output `i`; zeros when none flows into it.
  Endpoint dy(int i = 0) { return host()->gradient_dy(gradient_, i); }
  ShapeView shape(Endpoint e) const { return ShapeView(host()->endpoint_type(gradient_, e)); }

  // Adds a node and returns its first output.
  Endpoint op(const char* name, std::initializer_list<Endpoint> inputs,
              const std::vector<Attr>& attrs = {}) {
    std::vector<TenonAttr> given;
    std::vector<std::vector<TenonText>> texts(attrs.size());
    for (size_t i = 0; i < attrs.size(); ++i) given.push_back(attr_of(attrs[i], texts[i]));
    return host()->add_node(gradient_, name, inputs.begin(), inputs.size(), given.data(),
                            given.size());
  }
  Endpoint scalar(float value) {
    const TenonTensor tensor{{static_cast<int32_t>(DType::kFloat), 0, nullptr}, &value};
    return host()->add_constant(gradient_, &tensor);
  }
  void set_dx(int input, Endpoint dx) { host()->set_dx(gradient_, input, dx); }

 private:
  static TenonAttr attr_of(const Attr& attr, std::vector<TenonText>& texts) {
    TenonAttr given{};
    given.name = attr.name;
    given.kind = static_cast<int32_t>(attr.value.index());  // in the order of TENON_ATTR_*
    if (const auto* integer = std::get_if<int64_t>(&attr.value)) given.integer = *integer;
    if (const auto* real = std::get_if<float>(&attr.value)) given.real = *real;
    if (const auto* flag = std::get_if<bool>(&attr.value)) given.integer = *flag;
    if (const auto* dtype = std::get_if<DType>(&attr.value)) {
      given.integer = static_cast<int64_t>(*dtype);
    }
    if (const auto* text = std::get_if<std::string>(&attr.value)) {
      given.text = {text->data(), text->size()};
    }
    if (const auto* integers = std::get_if<std::vector<int64_t>>(&attr.value)) {
      given.integers = integers->data();
      given.count = integers->size();
    }
    if (const auto* reals = std::get_if<std::vector<float>>(&attr.value)) {
      given.reals = reals->data();
      given.count = reals->size();
    }
    if (const auto* strings = std::get_if<std::vector<std::string>>(&attr.value)) {
      for (const std::string& each : *strings) texts.push_back({each.data(), each.size()});
      given.texts = texts.data();
      given.count = texts.size();
    }
    if (const auto* types = std::get_if<std::vector<DType>>(&attr.value)) {
      static_assert(sizeof(DType) == sizeof(int32_t));
      given.types = reinterpret_cast<const int32_t*>(types->data());
      given.count = types->size();
    }
    return given;
  }
  TenonGradient* gradient_;
};

enum class Effect : int32_t { kNone, kRead, kWrite, kRandom, kOutside };
enum class Rows : int32_t { kMixed, kIndependent, kIndependentUnlessRank1 };

using Kernel = std::function<Status(KernelRun&)>;
using KernelFactory = Result<Kernel> (*)(Prepare&);
using ShapeFn = Status (*)(ShapeContext&);
using GradientFn = Status (*)(Gradient&);
inline constexpr GradientFn not_differentiable = nullptr;

// A member that must be given: there is no default.
template <class Function>
struct Required {
  constexpr Required(Function function) : function(function) {}  // NOLINT: implicit
  template <class Lambda>
  requires std::is_convertible_v<Lambda, Function>
  constexpr Required(Lambda lambda) : function(lambda) {}  // NOLINT: implicit
  Function function;
};

struct OpDecl {
  const char* inputs;
  const char* outputs;
  const char* attrs = "";
  Effect effect = Effect::kNone;
  Rows rows = Rows::kMixed;
  uint64_t host_inputs = 0;  // bit i: input i is in host memory, its value known to `shape`
  Required<ShapeFn> shape;
  Required<GradientFn> gradient;
  std::vector<KernelFactory> kernels;  // in the order in which they are tried
};

// An OpDecl as the tables of tenon/plugin.h.
class RegisteredOp {
 public:
  RegisteredOp(const char* name, const OpDecl& decl) : decl_(decl) {
    op_ = {sizeof(TenonOp),
           name,
           decl.inputs,
           decl.outputs,
           decl.attrs,
           static_cast<int32_t>(decl.effect),
           static_cast<int32_t>(decl.rows),
           decl.host_inputs,
           &decl_,
           [](void* data, TenonShapes* shapes) {
             ShapeContext context(shapes);
             return static_cast<OpDecl*>(data)->shape.function(context).give();
           },
           decl.gradient.function ? [](void* data, TenonGradient* gradient) {
             Gradient context(gradient);
             return static_cast<OpDecl*>(data)->gradient.function(context).give();
           } : static_cast<TenonStatus* (*)(void*, TenonGradient*)>(nullptr)};
    for (KernelFactory factory : decl.kernels) {
      factories_.push_back({sizeof(TenonKernelFactory), name, "CPU", nullptr, nullptr, 0,
                            reinterpret_cast<void*>(factory), prepare});
    }
  }
  RegisteredOp(const RegisteredOp&) = delete;
  RegisteredOp& operator=(const RegisteredOp&) = delete;

  const TenonOp* op() const { return &op_; }
  std::span<const TenonKernelFactory> factories() const { return factories_; }

 private:
  static TenonStatus* prepare(void* data, TenonPrepare* handle, TenonKernel* kernel) {
    Prepare context(handle);
    Result<Kernel> made = reinterpret_cast<KernelFactory>(data)(context);
    if (!made.ok()) return made.status().give();
    *kernel = {new Kernel(std::move(*made)),
               [](void* state, TenonRun* run) {
                 KernelRun context_of_run(run);
                 return (*static_cast<Kernel*>(state))(context_of_run).give();
               },
               [](void* state) { delete static_cast<Kernel*>(state); }};
    return nullptr;
  }

  OpDecl decl_;
  TenonOp op_;
  std::vector<TenonKernelFactory> factories_;
};

// The ops of this plug-in, in the order in which their files are linked.
inline std::vector<std::pair<const char*, const OpDecl*>>& declared_ops() {
  static std::vector<std::pair<const char*, const OpDecl*>> ops;
  return ops;
}
struct Declare {
  Declare(const char* name, const OpDecl* decl) { declared_ops().emplace_back(name, decl); }
};

// The plug-in made of all declared ops.
inline const TenonPlugin* plugin_of(const char* name) {
  static std::vector<std::unique_ptr<RegisteredOp>> registered;
  static std::vector<const TenonOp*> ops;
  static std::vector<const TenonKernelFactory*> kernels;
  for (const auto& [op, decl] : declared_ops()) {
    registered.push_back(std::make_unique<RegisteredOp>(op, *decl));
    ops.push_back(registered.back()->op());
    for (const TenonKernelFactory& each : registered.back()->factories()) kernels.push_back(&each);
  }
  static const TenonPlugin plugin = {
      sizeof(TenonPlugin), TENON_PLUGIN_ABI, TENON_PLUGIN_VERSION, name,    ops.data(),
      ops.size(),          kernels.data(),   kernels.size(),       nullptr, nullptr};
  return &plugin;
}

}  // namespace tenon::plugin
#pragma GCC visibility pop

#define TENON_PLUGIN_OP(Name)                                                                 \
  extern const ::tenon::plugin::OpDecl tenon_plugin_op_##Name;                                \
  static const ::tenon::plugin::Declare tenon_plugin_declare_##Name(#Name,                    \
                                                                    &tenon_plugin_op_##Name); \
  const ::tenon::plugin::OpDecl tenon_plugin_op_##Name

// Once in a plug-in: its name.
#define TENON_PLUGIN(name)                                                                       \
  extern "C" TenonStatus* tenon_open_plugin(const TenonHost* host, const TenonPlugin** plugin) { \
    ::tenon::plugin::host() = host;                                                              \
    *plugin = ::tenon::plugin::plugin_of(name);                                                  \
    return nullptr;                                                                              \
  }
