// ConfigFields: the options of a layer, loss, metric or optimizer under Keras' names.
//
// A class names each option once, in fields(), in the order in which Keras writes them; the same
// function then writes the JSON and reads it. Errors stick and are reported by the functions below.
#pragma once

#include <functional>

#include "tenon/keras/weights/constraint.h"
#include "tenon/keras/weights/initializer.h"
#include "tenon/keras/weights/regularizer.h"

namespace tenon::keras {

class Layer;

class ConfigFields {
 public:
  virtual ~ConfigFields() = default;
  virtual void field(std::string_view name, bool& value) = 0;
  virtual void field(std::string_view name, int64_t& value) = 0;
  virtual void field(std::string_view name, double& value) = 0;
  virtual void field(std::string_view name, std::string& value) = 0;
  virtual void field(std::string_view name, std::vector<int64_t>& value) = 0;
  virtual void field(std::string_view name, std::optional<int64_t>& value) = 0;
  virtual void field(std::string_view name, std::optional<double>& value) = 0;
  virtual void field(std::string_view name, Initializer& value) = 0;
  virtual void field(std::string_view name, Regularizer& value) = 0;
  virtual void field(std::string_view name, Constraint& value) = 0;
  virtual void field(std::string_view name, Json& value) = 0;
  // A layer within the layer; null until it is read.
  virtual void layer(std::string_view name, std::shared_ptr<Layer>& value) = 0;
  virtual void layers(std::string_view name, std::vector<std::shared_ptr<Layer>>& value) = 0;
  // The name of an activation.
  virtual void activation(std::string_view name, std::string& value) = 0;

  // An option of Keras' that exists here at one value only: it is written as that value, and read,
  // anything else is UNIMPLEMENTED.
  virtual void only(std::string_view name, const Json& value) = 0;

  // Options of Keras' that exist here as null only.
  void none(std::initializer_list<std::string_view> names) {
    for (std::string_view name : names) only(name, nullptr);
  }

  // A number for each axis, as many as `value` holds; Keras takes one number for all. Null stands
  // for `if_null` where that is given.
  virtual void sizes(std::string_view name, std::span<int64_t> value,
                     std::span<const int64_t> if_null = {}) = 0;
  // The same along one axis: Keras writes a list of one number.
  void size(std::string_view name, int64_t& value) { sizes(name, std::span(&value, 1)); }
};

// The config that `object.fields(...)` describes.
template <class T>
Json write_config(const T& object);

// Sets `object`'s options from `config`. INVALID_ARGUMENT where a value has the wrong type,
// UNIMPLEMENTED for an option that is not known and is not null, false or empty; `who` names the
// object in the message.
template <class T>
Status read_config(T& object, const Json& config, std::string_view who);

namespace config_internal {
Json write(const std::function<void(ConfigFields&)>& fields);
Status read(const std::function<void(ConfigFields&)>& fields, const Json& config,
            std::string_view who);
}  // namespace config_internal

template <class T>
Json write_config(const T& object) {
  // fields() only reads when it is given a writer.
  return config_internal::write([&](ConfigFields& f) { const_cast<T&>(object).fields(f); });
}
template <class T>
Status read_config(T& object, const Json& config, std::string_view who) {
  return config_internal::read([&](ConfigFields& f) { object.fields(f); }, config, who);
}

}  // namespace tenon::keras
