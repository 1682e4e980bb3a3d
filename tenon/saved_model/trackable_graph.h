// TrackableGraph: a checkpoint's objects (tensorflow.TrackableObjectGraph), as they are written.
#pragma once

#include "tenon/base/status.h"

namespace tenon::saved_model_internal {

class TrackableGraph {
 public:
  // Adds an object; returns its number, from 0.
  int add();
  int size() const { return static_cast<int>(objects_.size()); }
  void add_child(int parent, int child, std::string_view name);
  // The value that a bundle holds for the object under `key`.
  void add_value(int object, std::string_view full_name, std::string_view key);
  // Says that the object or one below it has such a value.
  void mark_values(int object);

  std::string serialize() const;

 private:
  struct Object {
    std::string children, attributes;  // serialized fields
    bool has_values = false;
  };
  std::vector<Object> objects_;
};

// An ObjectReference as field `number`: of trackable and of saved objects.
void append_object_reference(std::string& out, uint32_t number, int object, std::string_view name);

}  // namespace tenon::saved_model_internal
