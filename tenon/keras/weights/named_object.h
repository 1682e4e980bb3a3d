// What initializers, regularizers and constraints are in Keras' files: a class and its parameters.
#pragma once

#include "tenon/keras/object_config.h"

namespace tenon::keras {

// A class, the name that Keras gives it in lower case, and its parameters at their defaults.
struct NamedObjectRow {
  std::string_view class_name, alias;
  Json (*defaults)();
};

// INVALID_ARGUMENT or UNIMPLEMENTED, with what there is, unless `class_name` is that of a row and
// `config` holds parameters of that row alone; `what` is "regularizer" or the like.
Status check_named_object(std::string_view what, std::span<const NamedObjectRow> rows,
                          std::string_view class_name, const Json& config);

const NamedObjectRow* find_named_object(std::span<const NamedObjectRow> rows,
                                        std::string_view name);

// As Keras writes it; `package` is "regularizers" or the like.
Json named_object_to_json(std::string_view package, std::string_view class_name,
                          const Json& config);

// From Keras' JSON: a name, or {"class_name": ..., "config": {...}}.
template <class T>
StatusOr<T> named_object_from_json(ObjectKind kind, const Json& json) {
  TENON_ASSIGN_OR_RETURN(const ObjectConfig object, object_config(kind, json));
  T made{std::string_view(object.name)};
  if (object.config && object.config->members()) {
    for (const auto& [parameter, value] : *object.config->members()) made.with(parameter, value);
  }
  TENON_RETURN_IF_ERROR(made.check());
  return made;
}

}  // namespace tenon::keras
