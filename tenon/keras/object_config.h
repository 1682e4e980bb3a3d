// Which class a serialised Keras object is of: the one place that decides whether a name in a file
// means Keras' own class.
//
// A class or function that a user has registered is stored under `registered_name`
// ("package>Dense") and may have the name of one of Keras'; an operation of keras.ops may have the
// name of a layer.
#pragma once

#include "tenon/keras/json.h"

namespace tenon::keras {

enum class ObjectKind {
  kModel,
  kLayer,
  kActivation,
  kInitializer,
  kRegularizer,
  kConstraint,
  kLoss,
  kMetric,
  kOptimizer,
  kSchedule,
  kDTypePolicy,
};

struct ObjectConfig {
  std::string name;              // of the class; or what stands there alone, as a plain text
  const Json* config = nullptr;  // null where there is none; points into the object's JSON
};

// Reads `json`: a plain name ("relu"), a function that Keras wrote by name, or {"module",
// "class_name", "config", "registered_name"}. UNIMPLEMENTED, with class and registered name, for
// what is not of Keras' own modules for this kind; INVALID_ARGUMENT for what is no object at all.
// Files of Keras 2 have neither module nor registered name: the class name counts.
StatusOr<ObjectConfig> object_config(ObjectKind kind, const Json& json);

}  // namespace tenon::keras
