#include "tenon/saved_model/meta_graph.h"

#include <set>

#include "tenon/base/files.h"
#include "tenon/saved_model/other_formats.h"

namespace tenon::saved_model_internal {
namespace {

constexpr uint64_t kMostModelBytes = uint64_t{2} << 30;  // what a message may have

// Field numbers of MetaGraphDef.
enum MetaField : uint32_t {
  kMetaInfo = 1,
  kGraphDef = 2,
  kSaverDef = 3,
  kCollectionDef = 4,
  kSignatureDef = 5,
  kAssetFileDef = 6,
  kObjectGraphDef = 7,
};

Status malformed_meta(std::string_view message) {
  return data_loss("malformed ", message, " message");
}

std::string node_of(std::string_view tensor) {
  return std::string(tensor.substr(0, tensor.find(':')));
}

// The strings of the repeated field `number`; false when the message is malformed.
template <class Strings>
bool read_strings(std::string_view message, uint32_t number, Strings& strings) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(number)) strings.emplace_back(field.bytes);
  }
  return !reader.malformed();
}

bool read_saver(std::string_view message, StartUp& start) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) start.filename_tensor = field.bytes;
    if (field.is_bytes(3)) start.restore_node = field.bytes;
  }
  return !reader.malformed();
}

bool read_asset(std::string_view message, StartUp& start) {
  WireReader reader(message);
  WireField field, info;
  std::string_view tensor, file;
  while (reader.next(field)) {
    if (field.is_bytes(2)) file = field.bytes;
    if (!field.is_bytes(1)) continue;
    WireReader infos(field.bytes);
    while (infos.next(info)) {
      if (info.is_bytes(1)) tensor = info.bytes;
    }
    if (infos.malformed()) return false;
  }
  start.assets.emplace_back(tensor, file);
  return !reader.malformed();
}

// The only value of a CollectionDef that is a list of nodes; empty where it is something else.
std::string only_node(std::string_view collection) {
  constexpr uint32_t kNodeList = 1, kLastKind = 5;
  WireReader reader(collection);
  WireField field;
  uint32_t kind = 0;
  std::vector<std::string_view> nodes;
  while (reader.next(field)) {
    if (field.type != WireType::kBytes || field.number > kLastKind) continue;
    if (std::exchange(kind, field.number) != field.number) nodes.clear();
    if (kind == kNodeList && !read_strings(field.bytes, 1, nodes)) return {};
  }
  return kind == kNodeList && nodes.size() == 1 ? node_of(nodes[0]) : std::string();
}

// The tensor that the initialisation's signature names.
std::string init_node_of(const MessageField& signature) {
  WireReader reader(signature.bytes());
  WireField field, info;
  std::string_view tensor;
  while (reader.next(field)) {
    MapEntry output;
    if (!field.is_bytes(2) || !parse_map_entry(field.bytes, output) ||
        output.key != kInitSignature) {
      continue;
    }
    WireReader infos(output.message.bytes());
    while (infos.next(info)) {
      if (info.is_bytes(1)) tensor = info.bytes;
    }
  }
  return node_of(tensor);
}

// `bound_inputs` of a SavedConcreteFunction.
bool read_bound_inputs(std::string_view message, std::vector<int>& bound) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.number != 2) continue;
    if (field.type != WireType::kVarint && field.type != WireType::kBytes) continue;
    const auto take = [&](uint64_t value) { bound.push_back(static_cast<int>(value)); };
    if (!for_each_varint(field, take)) return false;
  }
  return !reader.malformed();
}

bool read_object_graph(std::string_view message, MetaGraph& meta) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (!field.is_bytes(2)) continue;
    MapEntry entry;
    if (!parse_map_entry(field.bytes, entry)) return false;
    std::vector<int>& bound = meta.bound_inputs[std::string(entry.key)];
    bound.clear();
    if (!read_bound_inputs(entry.message.bytes(), bound)) return false;
  }
  return !reader.malformed();
}

// The parts of a MetaGraphDef that other parts of it decide about.
struct MetaParts {
  std::vector<std::string_view> graph;
  std::map<std::string_view, MessageField> collections;
};

bool read_meta_field(const WireField& field, MetaGraph& meta, MetaParts& parts) {
  if (field.type != WireType::kBytes) return true;
  MapEntry entry;
  switch (field.number) {
    case kGraphDef:
      parts.graph.push_back(field.bytes);
      return true;
    case kSaverDef:
      return read_saver(field.bytes, meta.start_up);
    case kCollectionDef:
      if (!parse_map_entry(field.bytes, entry)) return false;
      parts.collections[entry.key] = std::move(entry.message);
      return true;
    case kSignatureDef:
      if (!parse_map_entry(field.bytes, entry)) return false;
      meta.signature_defs[std::string(entry.key)] = std::move(entry.message);
      return true;
    case kAssetFileDef:
      return read_asset(field.bytes, meta.start_up);
    case kObjectGraphDef:
      return read_object_graph(field.bytes, meta);
    default:
      return true;
  }
}

// TensorFlow 1's builders write no asset_file_def but a collection of AssetFileDefs, each in an
// Any.
bool read_asset_collection(std::string_view collection, StartUp& start) {
  constexpr uint32_t kAnyList = 5;
  WireReader kinds(collection);
  WireField kind, any, value;
  while (kinds.next(kind)) {
    if (!kind.is_bytes(kAnyList)) continue;
    WireReader list(kind.bytes);
    while (list.next(any)) {
      if (!any.is_bytes(1)) continue;
      WireReader fields(any.bytes);
      while (fields.next(value)) {
        if (value.is_bytes(2) && !read_asset(value.bytes, start)) return false;
      }
      if (fields.malformed()) return false;
    }
    if (list.malformed()) return false;
  }
  return !kinds.malformed();
}

bool find_assets(const MetaParts& parts, MetaGraph& meta) {
  const auto it = parts.collections.find("saved_model_assets");
  if (!meta.start_up.assets.empty() || it == parts.collections.end()) return true;
  return read_asset_collection(it->second.bytes(), meta.start_up);
}

void find_init_node(const MetaParts& parts, MetaGraph& meta) {
  std::string& init_node = meta.start_up.init_node;
  const auto init = meta.signature_defs.find(std::string(kInitSignature));
  if (init != meta.signature_defs.end()) init_node = init_node_of(init->second);
  for (const char* name : {"saved_model_main_op", "legacy_init_op"}) {
    const auto it = parts.collections.find(name);
    if (!init_node.empty() || it == parts.collections.end()) continue;
    init_node = only_node(it->second.bytes());
  }
}

// The checkpoint key of each object's value; empty where it has none.
StatusOr<std::vector<std::string>> value_keys(std::string_view object_graph) {
  std::vector<std::string> keys;
  WireReader reader(object_graph);
  WireField node, attribute, field;
  while (reader.next(node)) {
    if (!node.is_bytes(1)) continue;
    std::string& key = keys.emplace_back();
    WireReader attributes(node.bytes);
    while (attributes.next(attribute)) {
      if (!attribute.is_bytes(2)) continue;
      std::string_view name, checkpoint_key;
      WireReader fields(attribute.bytes);
      while (fields.next(field)) {
        if (field.is_bytes(1)) name = field.bytes;
        if (field.is_bytes(3)) checkpoint_key = field.bytes;
      }
      if (fields.malformed()) return malformed_meta("TrackableObjectGraph");
      if (name == "VARIABLE_VALUE" && key.empty()) key = checkpoint_key;
    }
    if (attributes.malformed()) return malformed_meta("TrackableObjectGraph");
  }
  if (reader.malformed()) return malformed_meta("TrackableObjectGraph");
  return keys;
}

// The nodes whose outputs a call takes, its captures last.
std::vector<std::string_view> data_inputs(const NodeView& node) {
  std::vector<std::string_view> inputs;
  for (const std::string_view input : node.inputs) {
    if (!input.starts_with('^')) inputs.push_back(input.substr(0, input.find(':')));
  }
  return inputs;
}

}  // namespace

StatusOr<ModelFile> read_model_file(const std::string& folder) {
  const std::string binary = join_path(folder, "saved_model.pb");
  const std::string text = join_path(folder, "saved_model.pbtxt");
  const std::string lite = path_exists(binary) ? std::string() : lite_file(folder);
  const bool is_text = lite.empty() && !path_exists(binary) && path_exists(text);
  ModelFile file;
  file.path = !lite.empty() ? lite : is_text ? text : binary;
  if (!path_exists(file.path)) {
    return not_found("'", folder, "' holds no SavedModel: there is no saved_model.pb");
  }
  if (is_text || !lite.empty()) {
    TENON_ASSIGN_OR_RETURN(std::string bytes, read_file(file.path, kMostModelBytes));
    StatusOr<std::string> wire = is_text ? wire_of_text(TextMessage::kSavedModel, bytes)
                                         : saved_model_of_lite(std::move(bytes));
    if (!wire.ok()) return with_context(wire.status(), cat("'", file.path, "'"));
    file.bytes = std::make_shared<MessageBytes>(*std::move(wire));
  } else {
    TENON_ASSIGN_OR_RETURN(file.bytes, MessageBytes::read_saved_model(file.path, kMostModelBytes));
  }
  if (!read_strings(file.bytes->view(), 2, file.meta_graphs)) {
    return data_loss("'", file.path, "' is damaged: it does not parse as a SavedModel");
  }
  if (file.meta_graphs.empty()) return invalid_argument("'", file.path, "' holds no MetaGraph");
  return file;
}

StatusOr<std::vector<std::string>> tags_of(std::string_view meta_graph) {
  std::vector<std::string> tags;
  WireReader reader(meta_graph);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(kMetaInfo) && !read_strings(field.bytes, 4, tags)) {
      return malformed_meta("MetaInfoDef");
    }
  }
  if (reader.malformed()) return malformed_meta("MetaGraphDef");
  return tags;
}

StatusOr<std::string_view> select(const ModelFile& file, std::span<const std::string> tags) {
  const std::set<std::string> wanted(tags.begin(), tags.end());
  std::vector<std::string> found;
  for (const std::string_view meta : file.meta_graphs) {
    const StatusOr<std::vector<std::string>> listed = tags_of(meta);
    if (!listed.ok()) {
      return with_context(listed.status(), cat("'", file.path, "' is damaged"));
    }
    const std::set<std::string> own(listed->begin(), listed->end());
    if (own == wanted) return meta;
    found.push_back(cat("'", join(own, ","), "'"));
  }
  return not_found("the model has no MetaGraph with the tags '", join(wanted, ","), "'; it has ",
                   join(found, ", "));
}

StatusOr<std::shared_ptr<const MetaGraph>> parse_meta_graph(std::string_view message,
                                                            std::shared_ptr<MessageBytes> owner) {
  auto meta = std::make_shared<MetaGraph>();
  MetaParts parts;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (!read_meta_field(field, *meta, parts)) return malformed_meta("MetaGraphDef");
  }
  if (reader.malformed()) return malformed_meta("MetaGraphDef");
  if (!find_assets(parts, *meta)) return malformed_meta("AssetFileDef");
  find_init_node(parts, *meta);
  TENON_ASSIGN_OR_RETURN(meta->graph, GraphView::parse(parts.graph, std::move(owner)));
  return std::shared_ptr<const MetaGraph>(std::move(meta));
}

StatusOr<std::vector<ObjectVariable>> object_variables(const MetaGraph& meta,
                                                       std::string_view checkpoint_graph) {
  const StatusOr<std::vector<std::string>> keys = value_keys(checkpoint_graph);
  if (!keys.ok()) return data_loss("the checkpoint's object graph does not parse");
  std::map<std::string_view, const NodeView*> nodes;
  for (const NodeView& node : meta.graph->nodes()) nodes[node.name] = &node;
  std::vector<ObjectVariable> variables;
  for (const NodeView& node : meta.graph->nodes()) {
    const StatusOr<AttrValue> f = node.attr("f");
    const auto* callee = f.ok() ? std::get_if<FunctionAttr>(&*f) : nullptr;
    if (!callee) continue;
    const auto function = meta.bound_inputs.find(callee->name);
    if (function == meta.bound_inputs.end()) continue;
    // The captures are the call's last inputs, in the order of bound_inputs.
    const std::vector<int>& bound = function->second;
    const std::vector<std::string_view> inputs = data_inputs(node);
    if (bound.size() > inputs.size()) continue;
    const size_t first = inputs.size() - bound.size();
    for (size_t i = 0; i < bound.size(); ++i) {
      const auto handle = nodes.find(inputs[first + i]);
      if (handle == nodes.end() || handle->second->op != "VarHandleOp") continue;
      const auto object = static_cast<size_t>(bound[i]);  // a negative one is too large
      if (object >= keys->size() || (*keys)[object].empty()) continue;
      std::string name = handle->second->string_attr("shared_name");
      if (name.empty()) name = handle->first;
      std::optional<PartialShape> shape;
      const StatusOr<AttrValue> declared = handle->second->attr("shape");
      if (declared.ok()) {
        if (const auto* known = std::get_if<PartialShape>(&*declared)) shape = *known;
      }
      variables.push_back({std::move(name), (*keys)[object], std::move(shape)});
    }
  }
  return variables;
}

bool has_mutable_tables(const GraphView& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [](const NodeView& node) {
    return node.op.starts_with("Mutable") && node.op.find("HashTable") != std::string_view::npos;
  });
}

std::vector<std::string> ops_of(const GraphView& graph) {
  std::set<std::string_view> ops;
  for (const NodeView& node : graph.nodes()) ops.insert(node.op);
  for (const GraphView::Function& function : graph.functions()) {
    const StatusOr<FunctionView> body = graph.body(function);
    if (!body.ok()) continue;  // whoever reaches it is told
    for (const NodeView& node : body->nodes) ops.insert(node.op);
  }
  return {ops.begin(), ops.end()};
}

}  // namespace tenon::saved_model_internal
