// Lenient access to JSON of others, without exceptions. Templates over the JSON type, so that only
// .cc files include the JSON library.
#pragma once

#include <string>

namespace tenon::image {

// The text under `key`, or empty.
template <class Object>
std::string json_text(const Object& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->template get<std::string>()
                                                     : std::string();
}

// The list or object under `key`, or an empty one.
template <class Object>
const Object& json_child(const Object& object, const char* key) {
  static const Object empty = Object::object();
  if (!object.is_object()) return empty;
  const auto found = object.find(key);
  return found == object.end() ? empty : *found;
}

template <class Object>
std::string json_dump(const Object& json, int indent = -1) {
  return json.dump(indent, ' ', false, Object::error_handler_t::replace);
}

}  // namespace tenon::image
