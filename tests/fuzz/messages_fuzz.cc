// Any bytes as a GraphDef, an attribute and a tensor: refused, or everything in them is read.

#include "tenon/core/tensor_message.h"
#include "tenon/graph/messages/attr_message.h"
#include "tenon/graph/messages/graph_view.h"

namespace {

void read_nodes(const std::vector<tenon::NodeView>& nodes) {
  for (const tenon::NodeView& node : nodes) {
    (void)node.attrs().ok();
    (void)node.string_attr("shared_name");
    (void)node.attr_bytes("value");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  (void)tenon::parse_shape(bytes).ok();
  if (const auto tensor = tenon::parse_tensor(bytes, size_t{1} << 20); tensor.ok()) {
    std::string written;
    tenon::append_tensor(written, *tensor);
    if (!tenon::parse_tensor(written).ok()) __builtin_trap();
  }
  if (const auto attr = tenon::parse_attr(bytes); attr.ok()) {
    std::string written;
    tenon::append_attr(written, *attr);
    if (!tenon::parse_attr(written).ok()) __builtin_trap();
  }
  const auto graph = tenon::GraphView::parse(bytes);
  if (!graph.ok()) return 0;
  read_nodes((*graph)->nodes());
  for (const auto& function : (*graph)->functions()) {
    const auto body = (*graph)->body(function);
    if (body.ok()) read_nodes(body->nodes);
  }
  return 0;
}
