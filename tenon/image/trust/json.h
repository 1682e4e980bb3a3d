// The one way that this folder's .cc files read JSON of others: leniently, without exceptions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace tenon::image {

using Json = nlohmann::ordered_json;

// The text under `key`, or empty.
inline std::string json_text(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The list or object under `key`, or an empty one.
inline const Json& json_child(const Json& object, const char* key) {
  static const Json empty = Json::object();
  if (!object.is_object()) return empty;
  const auto found = object.find(key);
  return found == object.end() ? empty : *found;
}

inline std::string json_dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tenon::image
