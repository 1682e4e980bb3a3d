// Ops and kernels of plug-ins as OpDecl and Kernel.
#include "tenon/runtime/plugin/plugin_abi.h"
#include "tenon/runtime/plugin/plugin_host.h"

namespace tenon {
namespace {

const TenonOp& op_of(const OpDef& op) { return *static_cast<const TenonOp*>(op.decl().plugin_op); }

Status infer_plugin_shape(ShapeContext& context) {
  const TenonOp& op = op_of(context.op());
  TenonShapes shapes{context, {context.attrs()}};
  return take(op.shape(op.data, &shapes));
}

Status add_plugin_gradient(Gradient& gradient) {
  const TenonOp& op = op_of(*gradient.forward().op);
  const AttrMap attrs = gradient.forward().attrs;  // nodes move while others are added
  TenonGradient handle{gradient, {attrs}};
  TENON_RETURN_IF_ERROR(take(op.gradient(op.data, &handle)));
  return gradient.build().status();
}

StatusOr<Kernel> make_host_plugin_kernel(Prepare& prepare) {
  std::vector<const TenonKernelFactory*> found =
      PluginHost::global().kernels(prepare.op().name(), "CPU");
  std::erase_if(found, [&](const auto* each) { return !accepts(*each, prepare.attrs()); });
  return make_plugin_kernel(static_cast<NodePrepare&>(prepare), found, {});
}

// Shared by the copies of a Kernel.
class PluginKernel {
 public:
  PluginKernel(TenonKernel kernel, std::vector<Ref<Buffer>> packed)
      : packed_(std::move(packed)), kernel_(kernel) {}
  PluginKernel(const PluginKernel&) = delete;
  PluginKernel& operator=(const PluginKernel&) = delete;
  ~PluginKernel() {
    if (kernel_.destroy) kernel_.destroy(kernel_.state);
  }
  Status run(KernelRun& run) const {
    TenonRun handle{run};
    return take(kernel_.run(kernel_.state, &handle));
  }

 private:
  const std::vector<Ref<Buffer>> packed_;
  TenonKernel kernel_;
};

}  // namespace

bool accepts(const TenonKernelFactory& factory, const AttrMap& attrs) {
  if (!factory.type_attr) return true;
  const DType* dtype = attrs.get_if<DType>(factory.type_attr);
  if (!dtype) return false;
  const std::span<const int32_t> types(factory.types, factory.num_types);
  return std::find(types.begin(), types.end(), static_cast<int32_t>(*dtype)) != types.end();
}

StatusOr<Kernel> make_plugin_kernel(NodePrepare& prepare,
                                    std::span<const TenonKernelFactory* const> factories,
                                    const PluginPlace& place) {
  return prepare.first_accepted(factories.size(), [&](size_t i) -> StatusOr<Kernel> {
    const TenonKernelFactory& factory = *factories[i];
    std::vector<Ref<Buffer>> packed;
    TenonPrepare handle{prepare, {prepare.attrs()}, place, packed};
    TenonKernel kernel{};
    TENON_RETURN_IF_ERROR(take(factory.prepare(factory.data, &handle, &kernel)));
    if (!kernel.run) return internal("the plug-in's kernel for op ", factory.op, " has no `run`");
    return Kernel([shared = std::make_shared<PluginKernel>(kernel, std::move(packed))](
                      KernelRun& run) { return shared->run(run); });
  });
}

StatusOr<OpDecl> plugin_op_decl(const TenonOp& op) {
  if (op.struct_size < sizeof(TenonOp) || !op.name || !op.inputs || !op.outputs || !op.attrs ||
      !op.shape) {
    return invalid_argument("op ", op.name ? op.name : "without a name",
                            " needs name, inputs, outputs, attrs and shape");
  }
  if (op.effect < TENON_EFFECT_NONE || op.effect > TENON_EFFECT_OUTSIDE ||
      op.rows < TENON_ROWS_MIXED || op.rows > TENON_ROWS_INDEPENDENT_UNLESS_RANK_1) {
    return invalid_argument("op ", op.name, " has effect ", op.effect, " and rows ", op.rows,
                            ", which are no such values");
  }
  OpDecl decl = {
      .inputs = ArgsText(std::string_view(op.inputs)),
      .outputs = ArgsText(std::string_view(op.outputs)),
      .attrs = AttrsText(std::string_view(op.attrs)),
      .effect = static_cast<Effect>(op.effect),
      .shape = infer_plugin_shape,
      .rows = static_cast<Rows>(op.rows),
      .gradient = op.gradient ? add_plugin_gradient : not_differentiable,
      .kernels = {make_host_plugin_kernel},
      .plugin_op = &op,
  };
  decl.host_inputs.bits = op.host_inputs;
  return decl;
}

}  // namespace tenon
