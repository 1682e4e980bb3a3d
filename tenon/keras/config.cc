#include "tenon/keras/config.h"

#include "tenon/keras/layers.h"
#include "tenon/keras/object_config.h"

namespace tenon::keras {

namespace {

class ConfigWriter final : public ConfigFields {
 public:
  Json config = Json::object();

  void field(std::string_view name, bool& value) override { config.set(name, value); }
  void field(std::string_view name, int64_t& value) override { config.set(name, value); }
  void field(std::string_view name, double& value) override { config.set(name, value); }
  void field(std::string_view name, std::string& value) override { config.set(name, value); }
  void field(std::string_view name, std::vector<int64_t>& value) override {
    config.set(name, Json::array(value));
  }
  void sizes(std::string_view name, std::span<int64_t> value, std::span<const int64_t>) override {
    config.set(name, Json::array(std::vector<int64_t>(value.begin(), value.end())));
  }
  void field(std::string_view name, std::optional<int64_t>& value) override {
    config.set(name, value ? Json(*value) : Json());
  }
  void field(std::string_view name, std::optional<double>& value) override {
    config.set(name, value ? Json(*value) : Json());
  }
  void field(std::string_view name, Initializer& value) override {
    config.set(name, value.to_json());
  }
  void field(std::string_view name, Regularizer& value) override {
    config.set(name, value.to_json());
  }
  void field(std::string_view name, Constraint& value) override {
    config.set(name, value.to_json());
  }
  void field(std::string_view name, Json& value) override { config.set(name, value); }
  void layer(std::string_view name, std::shared_ptr<Layer>& value) override {
    config.set(name, value ? value->describe() : Json());
  }
  void layers(std::string_view name, std::vector<std::shared_ptr<Layer>>& value) override {
    Json list{Json::Array()};
    for (const auto& each : value) list.push(each->describe());
    config.set(name, std::move(list));
  }
  void activation(std::string_view name, std::string& value) override { config.set(name, value); }
  void only(std::string_view name, const Json& value) override { config.set(name, value); }
};

class ConfigReader final : public ConfigFields {
 public:
  ConfigReader(const Json& config, std::string_view who) : config_(config), who_(who) {}

  void field(std::string_view name, bool& value) override {
    read(name, "true or false", [&](const Json& json) {
      if (!json.boolean()) return false;
      value = *json.boolean();
      return true;
    });
  }
  void field(std::string_view name, int64_t& value) override {
    read(name, "an integer", [&](const Json& json) {
      if (!json.integer()) return false;
      value = *json.integer();
      return true;
    });
  }
  void field(std::string_view name, double& value) override {
    read(name, "a number", [&](const Json& json) {
      if (!json.number()) return false;
      value = *json.number();
      return true;
    });
  }
  void field(std::string_view name, std::string& value) override {
    read(name, "a text", [&](const Json& json) {
      if (!json.string()) return false;
      value = *json.string();
      return true;
    });
  }
  void field(std::string_view name, std::vector<int64_t>& value) override {
    read(name, "a list of integers", [&](const Json& json) {
      if (!json.items()) return false;
      std::vector<int64_t> values;
      for (const Json& item : *json.items()) {
        if (!item.integer()) return false;
        values.push_back(*item.integer());
      }
      value = std::move(values);
      return true;
    });
  }
  void sizes(std::string_view name, std::span<int64_t> value,
             std::span<const int64_t> if_null) override {
    const std::string expected = value.size() == 1
                                     ? "an integer or a list of one"
                                     : cat("an integer or ", value.size(), " of them");
    read(name, expected, [&](const Json& json) {
      if (json.is_null() && !if_null.empty()) {
        std::copy(if_null.begin(), if_null.end(), value.begin());
        return true;
      }
      if (const int64_t* all = json.integer()) {
        std::fill(value.begin(), value.end(), *all);
        return true;
      }
      if (!json.items() || json.items()->size() != value.size()) return false;
      for (size_t axis = 0; axis < value.size(); ++axis) {
        const int64_t* size = (*json.items())[axis].integer();
        if (!size) return false;
        value[axis] = *size;
      }
      return true;
    });
  }
  void field(std::string_view name, std::optional<int64_t>& value) override {
    read(name, "an integer or null", [&](const Json& json) {
      value = json.integer() ? std::optional(*json.integer()) : std::nullopt;
      return json.is_null() || json.integer();
    });
  }
  void field(std::string_view name, std::optional<double>& value) override {
    read(name, "a number or null", [&](const Json& json) {
      value = json.number();
      return json.is_null() || json.number();
    });
  }
  void field(std::string_view name, Initializer& value) override { read_object(name, value); }
  void field(std::string_view name, Regularizer& value) override { read_object(name, value); }
  void field(std::string_view name, Constraint& value) override { read_object(name, value); }
  void field(std::string_view name, Json& value) override {
    read(name, "any value", [&](const Json& json) {
      value = json;
      return true;
    });
  }
  void layer(std::string_view name, std::shared_ptr<Layer>& value) override {
    read(name, "a layer", [&](const Json& json) { return read_layer(name, json, value); });
  }
  void layers(std::string_view name, std::vector<std::shared_ptr<Layer>>& value) override {
    read(name, "a list of layers", [&](const Json& json) {
      if (!json.items()) return false;
      for (const Json& item : *json.items()) read_layer(name, item, value.emplace_back());
      return true;
    });
    std::erase(value, nullptr);
  }
  void activation(std::string_view name, std::string& value) override {
    read(name, "the name of an activation", [&](const Json& json) {
      StatusOr<ObjectConfig> object = object_config(ObjectKind::kActivation, json);
      if (object.ok()) value = std::move(object->name);
      if (!object.ok()) fail(with_context(object.status(), cat(who_, ", '", name, "'")));
      return true;
    });
  }
  void only(std::string_view name, const Json& value) override {
    read(name, "", [&](const Json& json) {
      if (!(json == value)) {
        fail(unimplemented(who_, ": '", name, "' is ", json.dump(), "; only ", value.dump(),
                           " is implemented"));
      }
      return true;
    });
  }

  Status finish() {
    for (const auto& [name, value] : *config_.members()) {
      const bool nothing = value.is_null() || value == Json(false) ||
                           (value.items() && value.items()->empty()) ||
                           (value.string() && value.string()->empty());
      if (!nothing && std::find(seen_.begin(), seen_.end(), name) == seen_.end()) {
        fail(unimplemented(who_, ": option '", name, "' (", value.dump(), ") is not implemented"));
      }
    }
    return status_;
  }

 private:
  template <class T>
  void read_object(std::string_view name, T& value) {
    read(name, "", [&](const Json& json) {
      StatusOr<T> parsed = T::from_json(json);
      if (parsed.ok()) value = *std::move(parsed);
      if (!parsed.ok()) fail(with_context(parsed.status(), cat(who_, ", '", name, "'")));
      return true;
    });
  }
  bool read_layer(std::string_view name, const Json& json, std::shared_ptr<Layer>& value) {
    if (json.is_null()) return true;
    StatusOr<std::shared_ptr<Layer>> layer = layer_from_json(json);
    if (layer.ok()) value = *std::move(layer);
    if (!layer.ok()) fail(with_context(layer.status(), cat(who_, ", '", name, "'")));
    return true;
  }
  template <class Set>
  void read(std::string_view name, std::string_view expected, Set set) {
    seen_.push_back(name);
    const Json* json = config_.find(name);
    if (json && !set(*json)) {
      fail(invalid_argument(who_, ": '", name, "' is ", json->dump(), ", expected ", expected));
    }
  }
  void fail(const Status& status) {
    if (status_.ok()) status_ = status;
  }

  const Json& config_;
  std::string_view who_;
  std::vector<std::string_view> seen_;
  Status status_;
};

}  // namespace

namespace config_internal {

Json write(const std::function<void(ConfigFields&)>& fields) {
  ConfigWriter writer;
  fields(writer);
  return std::move(writer.config);
}

Status read(const std::function<void(ConfigFields&)>& fields, const Json& config,
            std::string_view who) {
  if (!config.is_object()) return invalid_argument(who, ": the config is no JSON object");
  ConfigReader reader(config, who);
  fields(reader);
  return reader.finish();
}

}  // namespace config_internal

}  // namespace tenon::keras
