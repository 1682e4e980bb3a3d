#include "tenon/saved_model/trackable_graph.h"

#include "tenon/base/wire.h"

namespace tenon::saved_model_internal {

void append_object_reference(std::string& out, uint32_t number, int object, std::string_view name) {
  append_message(out, number, [&] {
    append_varint_field(out, 1, static_cast<uint64_t>(object));
    append_string_field(out, 2, name);
  });
}

int TrackableGraph::add() {
  objects_.emplace_back();
  return size() - 1;
}

void TrackableGraph::add_child(int parent, int child, std::string_view name) {
  append_object_reference(objects_[static_cast<size_t>(parent)].children, 1, child, name);
}

void TrackableGraph::add_value(int object, std::string_view full_name, std::string_view key) {
  std::string& out = objects_[static_cast<size_t>(object)].attributes;
  append_message(out, 2, [&] {
    append_string_field(out, 1, "VARIABLE_VALUE");
    append_string_field(out, 2, full_name);
    append_string_field(out, 3, key);
  });
}

void TrackableGraph::mark_values(int object) {
  objects_[static_cast<size_t>(object)].has_values = true;
}

std::string TrackableGraph::serialize() const {
  std::string out;
  for (const Object& object : objects_) {
    append_message(out, 1, [&] {
      out += object.children;
      out += object.attributes;
      append_message(out, 5, [&] { append_varint_field(out, 1, object.has_values); });
    });
  }
  return out;
}

}  // namespace tenon::saved_model_internal
