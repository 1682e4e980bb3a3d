#include "tenon/graph/messages/graph_view.h"

#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"
#include "tenon/graph/messages/attr_message.h"

namespace tenon {
namespace {

constexpr uint32_t kNodeAttr = 5;    // of NodeDef
constexpr uint32_t kAttrTensor = 8;  // of AttrValue
constexpr size_t kLargeBytes = size_t{1} << 20;

Status malformed_view(std::string_view message) {
  return data_loss("malformed ", message, " message");
}

// Calls take(MapEntry&) with the attributes of a node; false where one is malformed.
template <class Take>
bool for_each_attr(const NodeView& node, Take take) {
  WireReader reader(node.message);
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(kNodeAttr)) continue;
    MapEntry entry;
    if (!parse_map_entry(field.bytes, entry)) return false;
    take(entry);
  }
  return true;
}

Status malformed_attrs() { return invalid_argument("malformed AttrValue message"); }

// The content of a TensorProto as it lies there, aligned or not; no value where it is of another
// kind.
Tensor content_of(std::string_view message) {
  WireReader reader(message);
  WireField field;
  std::optional<DType> dtype;
  MessageField shape;
  std::string_view content;
  while (reader.next(field)) {
    if (field.is_varint(1)) dtype = dtype_from_enum(static_cast<int>(field.value));
    if (field.is_bytes(2)) shape.add(field.bytes);
    if (field.is_bytes(4)) content = field.bytes;
  }
  if (reader.malformed() || !dtype || is_object(*dtype) || *dtype == DType::kBool) return {};
  const StatusOr<PartialShape> partial = parse_shape(shape.bytes());
  if (!partial.ok() || !partial->is_fully_known()) return {};
  StatusOr<Shape> made = Shape::make(partial->dims(), size_of(*dtype));
  if (!made.ok() || made->num_bytes(size_of(*dtype)) != content.size()) return {};
  return Tensor(*dtype, *std::move(made), Ref<Buffer>(), const_cast<char*>(content.data()));
}

// The tensor of an AttrValue that holds nothing else and is as large as its bytes, where `known`
// has it already that one; nothing otherwise.
std::optional<Tensor> plain_tensor(std::string_view attr, ConstantPool& known) {
  WireReader reader(attr);
  WireField field;
  if (!reader.next(field) || !field.is_bytes(kAttrTensor) || field.bytes.end() != attr.end()) {
    return std::nullopt;
  }
  if (const Tensor view = content_of(field.bytes); view.has_value()) {
    if (Tensor found = known.find(view); found.has_value()) return found;
  }
  StatusOr<Tensor> tensor = parse_tensor(field.bytes, field.bytes.size());
  if (!tensor.ok() || tensor->dtype() == DType::kString) return std::nullopt;
  return known.shared(*tensor);
}

// The value of an attribute, from its bytes or from where it was taken to.
StatusOr<AttrValue> attr_value(const NodeView& node, const MessageField& message) {
  const std::string_view bytes = message.bytes();
  if (node.taken && bytes.size() >= kLargeBytes) {
    if (const auto it = node.taken->find(bytes.data()); it != node.taken->end()) return it->second;
  }
  return parse_attr(bytes);
}

StatusOr<NodeView> parse_node(std::string_view message, const TakenTensors& taken) {
  NodeView node;
  node.message = message;
  node.taken = &taken;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) node.name = field.bytes;
    if (field.is_bytes(2)) node.op = field.bytes;
    if (field.is_bytes(3)) node.inputs.push_back(field.bytes);
    if (field.is_bytes(4)) node.device = field.bytes;
  }
  if (reader.malformed()) return malformed_view("NodeDef");
  return node;
}

StatusOr<FunctionArgView> parse_function_arg(std::string_view message) {
  FunctionArgView arg;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) arg.name = field.bytes;
    if (field.is_varint(3)) arg.dtype = static_cast<int>(field.value);
    if (field.is_bytes(5) || field.is_bytes(6)) arg.generic |= !field.bytes.empty();
  }
  if (reader.malformed()) return malformed_view("OpDef.ArgDef");
  return arg;
}

// Adds the fields of an OpDef: of one that comes in pieces too.
Status add_signature(std::string_view message, FunctionView& function) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) function.name = field.bytes;
    if (field.is_bytes(2)) {
      TENON_ASSIGN_OR_RETURN(function.args.emplace_back(), parse_function_arg(field.bytes));
    }
    if (field.is_bytes(3)) {
      TENON_ASSIGN_OR_RETURN(function.results.emplace_back(), parse_function_arg(field.bytes));
    }
    if (field.is_bytes(20)) function.control_outputs.push_back(field.bytes);
  }
  return reader.malformed() ? malformed_view("OpDef") : absl::OkStatus();
}

// The shapes that the exporter knew; they are hints, so that an impossible one is none.
Status add_arg_shapes(std::string_view bytes, FunctionView& function) {
  MapEntry arg;
  if (!parse_map_entry(bytes, arg)) return malformed_view("FunctionDef.ArgAttrEntry");
  function.arg_shapes.erase(arg.number);
  WireReader reader(arg.message.bytes());
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    MapEntry attr;
    if (!parse_map_entry(field.bytes, attr)) return malformed_view("FunctionDef.ArgAttrs");
    if (attr.key != "_output_shapes") continue;
    const StatusOr<AttrValue> value = parse_attr(attr.message.bytes());
    if (!value.ok()) continue;
    const auto* shapes = std::get_if<std::vector<PartialShape>>(&*value);
    if (shapes && !shapes->empty()) function.arg_shapes[arg.number] = shapes->front();
  }
  return reader.malformed() ? malformed_view("FunctionDef.ArgAttrs") : absl::OkStatus();
}

StatusOr<FunctionView> parse_function(std::string_view message, const TakenTensors& taken) {
  FunctionView function;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.type != WireType::kBytes) continue;
    MapEntry entry;
    switch (field.number) {
      case 1:
        TENON_RETURN_IF_ERROR(add_signature(field.bytes, function));
        break;
      case 3: {
        TENON_ASSIGN_OR_RETURN(function.nodes.emplace_back(), parse_node(field.bytes, taken));
        break;
      }
      case 4:
        if (!parse_map_entry(field.bytes, entry)) return malformed_view("FunctionDef.RetEntry");
        function.ret[entry.key] = entry.text;
        break;
      case 6:
        if (!parse_map_entry(field.bytes, entry)) return malformed_view("FunctionDef.RetEntry");
        function.control_ret[entry.key] = entry.text;
        break;
      case 7:
        TENON_RETURN_IF_ERROR(add_arg_shapes(field.bytes, function));
        break;
      default:
        break;
    }
  }
  if (reader.malformed()) return malformed_view("FunctionDef");
  return function;
}

StatusOr<std::string_view> function_name(std::string_view message) {
  std::string_view name;
  WireReader reader(message);
  WireField field, inner;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    WireReader signature(field.bytes);
    while (signature.next(inner)) {
      if (inner.is_bytes(1)) name = inner.bytes;
    }
    if (signature.malformed()) return malformed_view("OpDef");
  }
  if (reader.malformed()) return malformed_view("FunctionDef");
  return name;
}

}  // namespace

StatusOr<AttrValue> NodeView::attr(std::string_view attr_name) const {
  MessageField value;
  const bool whole = for_each_attr(*this, [&](MapEntry& entry) {
    if (entry.key == attr_name) value = std::move(entry.message);
  });
  if (!whole) return malformed_attrs();
  return value.present() ? attr_value(*this, value) : AttrValue();
}

std::string NodeView::string_attr(std::string_view attr_name) const {
  StatusOr<AttrValue> value = attr(attr_name);
  std::string* const text = value.ok() ? std::get_if<std::string>(&*value) : nullptr;
  return text ? std::move(*text) : std::string();
}

StatusOr<AttrMap> NodeView::attrs() const {
  AttrMap attrs;
  Status status;
  const bool whole = for_each_attr(*this, [&](MapEntry& entry) {
    if (!status.ok() || entry.key.starts_with('_')) return;
    StatusOr<AttrValue> value = attr_value(*this, entry.message);
    if (value.ok()) {
      attrs.set(entry.key, *std::move(value));
    } else {
      status = with_context(value.status(), cat("attribute '", entry.key, "'"));
    }
  });
  if (!whole) return malformed_attrs();
  if (!status.ok()) return status;
  return attrs;
}

size_t NodeView::attr_bytes(std::string_view attr_name) const {
  size_t bytes = 0;
  (void)for_each_attr(*this, [&](MapEntry& entry) {
    if (entry.key == attr_name) bytes = entry.message.bytes().size();
  });
  return bytes;
}

StatusOr<FunctionView> GraphView::body(const Function& function) const {
  return parse_function(function.message, taken_);
}

// Bytes that are merged are not the owner's, and stay.
Status GraphView::take_tensors(const NodeView& node) {
  if (node.message.size() < kLargeBytes) return absl::OkStatus();
  TENON_RETURN_IF_ERROR(owner_->load(node.message));
  (void)for_each_attr(node, [&](MapEntry& entry) {
    const std::string_view bytes = entry.message.bytes();
    if (bytes.size() < kLargeBytes || bytes.data() != entry.text.data()) return;
    std::optional<Tensor> tensor = plain_tensor(bytes, constants_);
    if (!tensor || !taken_.emplace(bytes.data(), *std::move(tensor)).second) return;
    owner_->forget(bytes);
  });
  return absl::OkStatus();
}

Status GraphView::add_library(std::string_view message) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    TENON_ASSIGN_OR_RETURN(const std::string_view name, function_name(field.bytes));
    functions_.push_back({name, field.bytes});
    if (field.bytes.size() < kLargeBytes) continue;
    const StatusOr<FunctionView> large = body(functions_.back());
    for (size_t i = 0; large.ok() && i < large->nodes.size(); ++i) {
      TENON_RETURN_IF_ERROR(take_tensors(large->nodes[i]));
    }
  }
  return reader.malformed() ? malformed_view("FunctionDefLibrary") : absl::OkStatus();
}

Status GraphView::add(std::string_view message) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) {
      TENON_ASSIGN_OR_RETURN(nodes_.emplace_back(), parse_node(field.bytes, taken_));
      TENON_RETURN_IF_ERROR(take_tensors(nodes_.back()));
    }
    if (field.is_bytes(2)) TENON_RETURN_IF_ERROR(add_library(field.bytes));
  }
  return reader.malformed() ? malformed_view("GraphDef") : absl::OkStatus();
}

StatusOr<std::shared_ptr<const GraphView>> GraphView::parse(
    std::span<const std::string_view> pieces, std::shared_ptr<MessageBytes> owner) {
  auto graph = std::make_shared<GraphView>();
  graph->owner_ = std::move(owner);
  for (const std::string_view piece : pieces) TENON_RETURN_IF_ERROR(graph->add(piece));
  return std::shared_ptr<const GraphView>(std::move(graph));
}

StatusOr<std::shared_ptr<const GraphView>> GraphView::parse(std::string bytes) {
  const auto owner = std::make_shared<MessageBytes>(std::move(bytes));
  const std::string_view whole = owner->view();
  return parse({&whole, 1}, owner);
}

}  // namespace tenon
