#include "tenon/keras/object_config.h"

namespace tenon::keras {

namespace {

// A kind of object: what messages call it, and the packages of Keras that hold its classes, as
// they stand after "keras." or "keras.src.". An empty package is `keras` itself.
struct KindRow {
  ObjectKind kind;
  std::string_view what;
  std::array<std::string_view, 3> packages;
};

constexpr std::string_view kNoPackage = "?";
constexpr KindRow kKinds[] = {
    {ObjectKind::kModel, "model", {"", "models", "engine"}},
    {ObjectKind::kLayer, "layer", {"layers", "engine", kNoPackage}},
    {ObjectKind::kActivation, "activation", {"activations", kNoPackage, kNoPackage}},
    {ObjectKind::kInitializer, "initializer", {"initializers", kNoPackage, kNoPackage}},
    {ObjectKind::kRegularizer, "regularizer", {"regularizers", kNoPackage, kNoPackage}},
    {ObjectKind::kConstraint, "constraint", {"constraints", kNoPackage, kNoPackage}},
    {ObjectKind::kLoss, "loss", {"losses", kNoPackage, kNoPackage}},
    {ObjectKind::kMetric, "metric", {"metrics", "losses", kNoPackage}},
    {ObjectKind::kOptimizer, "optimizer", {"optimizers", kNoPackage, kNoPackage}},
    {ObjectKind::kSchedule, "learning rate schedule", {"optimizers", kNoPackage, kNoPackage}},
    {ObjectKind::kDTypePolicy, "dtype policy", {"", "dtype_policies", "mixed_precision"}},
};

const KindRow& row_of(ObjectKind kind) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds),
                       [&](const KindRow& row) { return row.kind == kind; });
}

bool is_own_module(std::string_view module, const KindRow& row) {
  // tf_keras is what Keras 2 has become.
  constexpr std::string_view kRoot = "keras", kOldRoot = "tf_keras", kSource = "src";
  const auto enter = [&](std::string_view package) {
    if (!module.starts_with(package)) return false;
    if (module.size() > package.size() && module[package.size()] != '.') return false;
    module.remove_prefix(std::min(module.size(), package.size() + 1));
    return true;
  };
  if (!enter(kRoot) && !enter(kOldRoot)) return false;
  enter(kSource);
  const std::string_view package = module.substr(0, module.find('.'));
  return package != kNoPackage &&
         std::find(row.packages.begin(), row.packages.end(), package) != row.packages.end();
}

// "layer 'dense'", or "layer" for what has no name of its own.
std::string describe_object(const KindRow& row, const Json& json) {
  const std::string name = json["config"].text("name");
  return name.empty() ? std::string(row.what) : cat(row.what, " '", name, "'");
}

Status foreign(const KindRow& row, const Json& json, std::string_view class_name) {
  const std::string module = json.text("module"), registered = json.text("registered_name");
  std::string whose;
  if (row.kind == ObjectKind::kActivation) {
    whose = cat(" is an object of class '", class_name, "'",
                registered.empty() ? "" : cat(", registered as '", registered, "'"),
                ", not a function of Keras");
  } else if (module.starts_with("keras.src.ops") || module.starts_with("keras.ops")) {
    whose = cat(" is the operation '", class_name, "' of keras.ops (module ", module,
                ", registered name '", registered, "')");
  } else {
    whose = cat(" is of class '", class_name, "'",
                registered.empty() ? "" : cat(", registered as '", registered, "'"),
                module.empty() ? "" : cat(", of module ", module),
                ", which is not Keras' own class of that name");
  }
  return unimplemented(describe_object(row, json), whose,
                       "; Tenon reads models made of Keras' own classes");
}

}  // namespace

StatusOr<ObjectConfig> object_config(ObjectKind kind, const Json& json) {
  const KindRow& row = row_of(kind);
  const std::string* name = json.string();
  if (!name && json["class_name"] == Json("function")) name = json["config"].string();
  if (name) {
    if (name->find('>') == std::string::npos) return ObjectConfig{*name, nullptr};
    return unimplemented(row.what, " '", *name, "' is a function registered by a user (",
                         name->substr(0, name->find('>')), "), not Keras' own",
                         "; Tenon reads models made of Keras' own classes");
  }
  const std::string* class_name = json["class_name"].string();
  if (!class_name || *class_name == "function") {
    return invalid_argument("not a serialised ", row.what, ": ", json.dump().substr(0, 200));
  }
  const Json& module = json["module"];
  const Json& registered = json["registered_name"];
  if ((!module.is_null() && !module.string()) || (!registered.is_null() && !registered.string())) {
    return invalid_argument(describe_object(row, json),
                            ": 'module' and 'registered_name' are texts or null");
  }
  // Keras registers classes of its own that it does not export, Functional say, under their names.
  const bool own_name = registered.is_null() || *registered.string() == *class_name;
  const bool own_module =
      module.is_null() ? registered.is_null() : is_own_module(*module.string(), row);
  if (!own_name || !own_module) return foreign(row, json, *class_name);
  const Json& config = json["config"];
  return ObjectConfig{*class_name, config.is_null() ? nullptr : &config};
}

}  // namespace tenon::keras
