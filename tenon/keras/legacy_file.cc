#include "tenon/keras/legacy_file.h"

#include "tenon/base/files.h"
#include "tenon/io/hdf5_reader.h"

namespace tenon::keras {

namespace {

constexpr std::string_view kWeights = "model_weights";

Json modern_layer(const Json& layer);

// An attribute of texts. Lists over 64 KB are cut into parts: name0, name1, ...
StatusOr<std::vector<std::string>> texts_of(const Hdf5Reader& file, const std::string& path,
                                            const std::string& name) {
  std::vector<std::string> texts;
  const auto append = [&](const Tensor& part) -> Status {
    if (part.dtype() == DType::kString) {
      for (const std::string_view text : part.span<std::string_view>()) texts.emplace_back(text);
    } else if (part.num_elements() > 0) {  // an empty list has numbers' dtype
      return invalid_argument("attribute '", name, "' of '", path, "' is ", part.dtype(),
                              ", expected texts");
    }
    return absl::OkStatus();
  };
  if (const StatusOr<Tensor> whole = file.attribute(path, name); whole.ok()) {
    TENON_RETURN_IF_ERROR(append(*whole));
    return texts;
  } else if (!file.attribute(path, name + "0").ok()) {
    return whole.status();
  }
  for (int i = 0;; ++i) {
    const StatusOr<Tensor> part = file.attribute(path, cat(name, i));
    if (!part.ok()) return texts;
    TENON_RETURN_IF_ERROR(append(*part));
  }
}

// Options that Keras 2 wrote and Keras 3 does not have, at the values that change nothing.
bool is_old_option(std::string_view class_name, std::string_view name, const Json& value) {
  constexpr std::string_view kAlways[] = {"batch_input_shape", "implementation", "input_length",
                                          "query_shape",       "key_shape",      "value_shape",
                                          "rng_type"};
  if (std::find(std::begin(kAlways), std::end(kAlways), name) != std::end(kAlways)) return true;
  if (name == "time_major" || name == "softmax_robust_masking") return value == Json(false);
  if (name == "groups" && !class_name.starts_with("Conv")) return value == Json(1);
  if (name == "groups" && class_name.ends_with("Transpose")) return value == Json(1);
  return class_name.starts_with("Separable") && name.starts_with("kernel_") &&
         name != "kernel_size";
}

// Under Keras 3's names, layers within the layer too. An input layer keeps the shape of the input.
Json modern_options(const Json& config, std::string_view class_name) {
  const bool is_input = class_name == "InputLayer";
  const Json* shape = config.find("batch_input_shape");
  Json modern = Json::object();
  for (const auto& [name, value] : *config.members()) {
    if (is_old_option(class_name, name, value)) continue;
    if (name == "batch_shape" && is_input && shape) continue;
    const bool renamed = class_name == "LeakyReLU" && name == "alpha";
    if (name == "cells" && value.items()) {
      Json cells{Json::Array()};
      for (const Json& cell : *value.items()) cells.push(modern_layer(cell));
      modern.append(name, std::move(cells));
    } else {
      const bool is_layer = name == "layer" || name == "backward_layer" || name == "cell";
      modern.append(renamed ? "negative_slope" : name, is_layer ? modern_layer(value) : value);
    }
  }
  if (is_input && shape) modern.set("batch_shape", *shape);
  const auto* axes = modern["axis"].items();
  if (class_name == "BatchNormalization" && axes && axes->size() == 1) {
    modern.set("axis", Json((*axes)[0]));
  }
  return modern;
}

Json modern_layer(const Json& layer) {
  if (!layer.is_object() || !layer["config"].is_object()) return layer;
  if (layer["config"]["layers"].items()) return modern_config(layer);
  Json modern = layer;
  modern.set("config", modern_options(layer["config"], layer.text("class_name")));
  return modern;
}

// Keras 2 may tell the shape of a Sequential's input in its first layer.
std::optional<Json> input_of(const Json& first) {
  const Json* shape = first["config"].find("batch_input_shape");
  if (!shape || first.text("class_name") == "InputLayer") return std::nullopt;
  const Json& given = first["config"]["dtype"];
  return Json::object(
      {{"class_name", "InputLayer"},
       {"config", Json::object({{"batch_shape", *shape},
                                {"dtype", given.string() ? given : Json("float32")},
                                {"name", cat(first["config"].text("name", "layer"), "_input")}})}});
}

// Keras' trainable_weights and non_trainable_weights of a layer and of those within it.
struct LayerWeights {
  std::vector<Weight*> trained, fixed;

  void add(Layer& layer) {
    for (Weight* weight : layer.stored_weights()) {
      const bool moves = layer.trainable() && weight->kind == WeightKind::kTrainable;
      (moves ? trained : fixed).push_back(weight);
    }
  }
};

Status read_layer(const Hdf5Reader& file, const std::shared_ptr<Layer>& shared,
                  std::vector<std::pair<Weight*, Tensor>>& values) {
  const Layer& layer = *shared;
  LayerWeights parts;
  std::set<const Layer*> seen;
  visit_layers(shared, seen, [&](Layer& each) { parts.add(each); });
  std::vector<Weight*> weights = std::move(parts.trained);
  weights.insert(weights.end(), parts.fixed.begin(), parts.fixed.end());
  const std::string group = cat(kWeights, "/", layer.name());
  if (weights.empty()) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         texts_of(file, group, "weight_names"));
  if (names.size() != weights.size()) {
    return invalid_argument("it has ", weights.size(), " weights, the file has ", names.size());
  }
  for (size_t i = 0; i < names.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(Tensor value, file.read(cat(group, "/", names[i])));
    const Weight& weight = *weights[i];
    if (value.dtype() != weight.dtype || !(value.shape() == weight.shape)) {
      return invalid_argument("'", names[i], "' is ", value.dtype(), value.shape(), ", weight '",
                              weight.path, "' is ", weight.dtype, weight.shape);
    }
    values.emplace_back(weights[i], std::move(value));
  }
  return absl::OkStatus();
}

Status read_weights(const Hdf5Reader& file, const Model& model) {
  std::vector<std::pair<Weight*, Tensor>> values;
  for (const auto& layer : model.network().layers) {
    const Status status = read_layer(file, layer, values);
    if (!status.ok()) return with_context(status, cat("layer '", layer->name(), "'"));
  }
  for (auto& [weight, value] : values) {
    TENON_RETURN_IF_ERROR(weight->variable->assign(std::move(value)));
  }
  return absl::OkStatus();
}

}  // namespace

Json modern_config(const Json& model) {
  const auto* layers = model["config"]["layers"].items();
  if (!layers) return model;
  Json list{Json::Array()};
  if (!layers->empty() && model.text("class_name") == "Sequential") {
    if (std::optional<Json> input = input_of((*layers)[0])) list.push(*std::move(input));
  }
  for (const Json& layer : *layers) list.push(modern_layer(layer));
  Json modern = model, config = model["config"];
  config.set("layers", std::move(list));
  modern.set("config", std::move(config));
  return modern;
}

StatusOr<std::unique_ptr<Model>> load_legacy_file(const std::string& path, ModelOptions options) {
  TENON_ASSIGN_OR_RETURN(std::string bytes, read_file(path));
  // Weights that are compressed take less room in the file, not much: they are nearly random.
  constexpr uint64_t kMostInflation = 8;
  options.max_weight_bytes =
      std::min<uint64_t>(options.max_weight_bytes, bytes.size() * kMostInflation);
  TENON_ASSIGN_OR_RETURN(const auto file, Hdf5Reader::from_bytes(std::move(bytes), path));
  const StatusOr<std::vector<std::string>> config = texts_of(*file, "", "model_config");
  if (!config.ok() || config->size() != 1) {
    return invalid_argument("'", path, "' holds no model: it has no attribute 'model_config'; ",
                            "weights alone are loaded into a model");
  }
  const StatusOr<Json> json = Json::parse((*config)[0]);
  if (!json.ok()) return with_context(json.status(), cat(path, ": model_config"));
  options.compile = false;
  StatusOr<std::unique_ptr<Model>> model =
      Model::from_json(modern_config(*json), std::move(options));
  if (!model.ok()) return with_context(model.status(), path);
  const Status status = read_weights(*file, **model);
  if (!status.ok()) return with_context(status, path);
  return model;
}

}  // namespace tenon::keras
