// saved_model.pb of an exported model, put together.
#include "tenon/base/wire.h"
#include "tenon/saved_model/export_parts.h"

namespace tenon::saved_model_internal {
namespace {

constexpr size_t kMostExportBytes = size_t{1} << 31;  // what a message may have

void append_meta_info(std::string& out) {
  append_message(out, 1, [&] {
    append_string_field(out, 4, "serve");  // tags
    // The version whose op definitions and formats these are.
    append_string_field(out, 5, "2.21.0");
    append_varint_field(out, 7, 1);  // stripped_default_attrs
  });
}

void append_graph_def(std::string& out, const ExportedGraph& graph) {
  append_message(out, 2, [&] {
    out += graph.nodes.bytes();
    append_bytes_field(out, 2, graph.functions.bytes());
    append_message(out, 4, [&] {
      append_varint_field(out, 1, 2474);  // producer
      append_varint_field(out, 2, 12);    // min_consumer
    });
  });
}

void append_saver_def(std::string& out, const ExportedModel::SaverNodes& names) {
  append_message(out, 3, [&] {
    append_string_field(out, 1, cat(names.filename, ":0"));
    append_string_field(out, 2, cat(names.save, ":0"));
    append_string_field(out, 3, names.restore);
    append_varint_field(out, 7, 2);  // CheckpointFormatVersion V2
  });
}

// The collection that names the initialisation, and the signatures.
void append_entry_points(std::string& out, const ExportedGraph& graph) {
  append_message(out, 4, [&] {
    append_bytes_field(out, 1, "saved_model_main_op");
    append_message(out, 2, [&] {
      append_message(out, 1, [&] { append_bytes_field(out, 1, graph.init_node); });
    });
  });
  for (const auto& [name, def] : graph.signature_defs) {
    append_message(out, 5, [&, &name = name, &def = def] {
      append_bytes_field(out, 1, name);
      append_bytes_field(out, 2, def);
    });
  }
}

}  // namespace

StatusOr<ExportedMessages> make_messages(ExportedModel& model) {
  ExportedGraph graph;
  TENON_RETURN_IF_ERROR(add_graph(model, graph));
  const ExportedObjects objects = make_objects(model);
  TENON_RETURN_IF_ERROR(add_saver(model, objects.trackable, graph));
  ExportedMessages messages;
  std::string& out = messages.saved_model;
  append_varint_field(out, 1, 1);  // saved_model_schema_version
  append_message(out, 2, [&] {
    append_meta_info(out);
    append_graph_def(out, graph);
    append_saver_def(out, model.saver);
    append_entry_points(out, graph);
    append_bytes_field(out, 7, objects.saved);
  });
  messages.object_graph = objects.trackable;
  if (out.size() > kMostExportBytes) {
    return resource_exhausted("the graph takes ", out.size(),
                              " bytes, a saved_model.pb holds 2 GiB at most; large constants "
                              "should be variables");
  }
  return messages;
}

}  // namespace tenon::saved_model_internal
