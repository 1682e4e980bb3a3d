// What stands behind the handles of tenon/plugin.h, on the host's side.
#pragma once

#include "tenon/core/device.h"
#include "tenon/core/node_prepare.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/plugin.h"

namespace tenon {
// Where a kernel is prepared for: a backend's device, or the host.
struct PluginPlace {
  int32_t ordinal = -1;
  void* handle = nullptr;
  Device* device = nullptr;
};
}  // namespace tenon

struct TenonStatus {
  int32_t code;
  std::string message;
};
struct TenonAttrs {
  const tenon::AttrMap& map;
};
struct TenonPrepare {
  tenon::NodePrepare& prepare;
  TenonAttrs attrs;
  tenon::PluginPlace place;
  std::vector<tenon::Ref<tenon::Buffer>>& packed;  // that the kernel keeps
};
struct TenonRun {
  tenon::KernelRun& run;
};
struct TenonShapes {
  tenon::ShapeContext& context;
  TenonAttrs attrs;
};
struct TenonGradient {
  tenon::Gradient& gradient;
  TenonAttrs attrs;
};
struct TenonHostKernel {
  tenon::Kernel kernel;
};

namespace tenon {

// Values as plug-ins see them, valid as long as what they are made of.
inline TenonText text_of(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view view_of(TenonText text) { return {text.data, text.size}; }
inline TenonType type_of(DType dtype, const PartialShape& shape) {
  return {static_cast<int32_t>(dtype), shape.has_rank() ? shape.rank() : -1, shape.dims().data()};
}
// Of rank -1 when it has no memory yet.
TenonTensor tensor_of(const Tensor& tensor);

// The functions that plug-ins call. Lives as long as the process.
const TenonHost& plugin_host_functions();

// Takes `status` over.
Status take(TenonStatus* status);
TenonStatus* give(const Status& status);

// The stream behind Stream*, as the backend made it; null for streams that are no plug-in's.
void* backend_stream(Stream* stream);

// The kernel of the first of `factories` that accepts.
StatusOr<Kernel> make_plugin_kernel(NodePrepare& prepare,
                                    std::span<const TenonKernelFactory* const> factories,
                                    const PluginPlace& place);

// Does the factory's type constraint allow these attributes?
bool accepts(const TenonKernelFactory& factory, const AttrMap& attrs);

// The declaration of a plug-in's op; `op` must live as long. INVALID_ARGUMENT when a field that
// must be given is not.
StatusOr<OpDecl> plugin_op_decl(const TenonOp& op);

// Device `ordinal` of the backend.
StatusOr<std::unique_ptr<Device>> open_plugin_device(const TenonBackend& backend, int ordinal);

}  // namespace tenon
