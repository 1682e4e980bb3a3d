// Models as Keras 3 stores them: JSON and .keras archives (formats.md 5.2).
#include <ctime>
#include <set>

#include "tenon/base/files.h"
#include "tenon/io/hdf5_reader.h"
#include "tenon/io/zip.h"
#include "tenon/keras/legacy_file.h"
#include "tenon/keras/object_config.h"
#include "tenon/keras/weights_file.h"

namespace tenon::keras {

namespace {

// The version of Keras whose format is written.
constexpr std::string_view kKerasVersion = "3.15.1";

// Far more than ten thousand layers take.
constexpr uint64_t kMaxConfigBytes = 64 << 20;

// The member for what Keras has no place for: {"classes": ["cat", "dog"], "features": []}.
constexpr std::string_view kOwnMember = "tenon.json";

Status check_config_size(const ZipReader& zip, std::string_view member, const std::string& path) {
  const ZipEntry* entry = zip.find(member);
  if (!entry || entry->size <= kMaxConfigBytes) return absl::OkStatus();
  return resource_exhausted("'", path, "': ", member, " takes ", entry->size, " bytes, at most ",
                            kMaxConfigBytes, " are read");
}

StatusOr<data::Names> read_data_names(const ZipReader& zip, const std::string& path) {
  if (!zip.find(kOwnMember)) return data::Names();
  TENON_RETURN_IF_ERROR(check_config_size(zip, kOwnMember, path));
  TENON_ASSIGN_OR_RETURN(const std::string text, zip.read(kOwnMember));
  TENON_ASSIGN_OR_RETURN(const Json json, Json::parse(text));
  return data_names_from_json(json);
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d@%H:%M:%S", &parts);
  return text;
}

// A list of metrics, or one object of them by the names of outputs.
std::vector<Json> metric_list(const Json& json) {
  if (json.is_null()) return {};
  return json.items() ? std::vector<Json>(*json.items()) : std::vector<Json>{json};
}

}  // namespace

StatusOr<std::vector<std::string>> names_from_json(const Json& json) {
  std::vector<std::string> names;
  if (json.is_null()) return names;
  std::set<std::string_view> seen;
  for (const Json& name : json.items() ? *json.items() : Json::Array{nullptr}) {
    if (!name.string() || !seen.insert(*name.string()).second) {
      return invalid_argument("names of classes or features are no list of texts that differ");
    }
    names.push_back(*name.string());
  }
  return names;
}

StatusOr<data::Names> data_names_from_json(const Json& json) {
  data::Names names;
  TENON_ASSIGN_OR_RETURN(names.classes, names_from_json(json["classes"]));
  TENON_ASSIGN_OR_RETURN(names.features, names_from_json(json["features"]));
  return names;
}

Json data_names_to_json(const data::Names& names) {
  return Json::object(
      {{"classes", Json::array(names.classes)}, {"features", Json::array(names.features)}});
}

Json Model::to_json() const {
  Json json = network_.describe_model(name_, sequential_, true);
  if (compiled()) {
    const auto* loss = std::get_if<Json>(&compile_options_.loss);
    const auto list = [](const std::vector<Json>& metrics) {
      const bool by_name =
          metrics.size() == 1 && metrics[0].members() && !metrics[0].find("class_name");
      if (by_name) return metrics[0];
      return metrics.empty() ? Json() : Json(Json::Array(metrics));
    };
    json.set("compile_config",
             Json::object({{"optimizer", optimizer_->describe()},
                           {"loss", loss ? *loss : losses_[0].loss->describe()},
                           {"loss_weights", compile_options_.loss_weights},
                           {"metrics", list(compile_options_.metrics)},
                           {"weighted_metrics", list(compile_options_.weighted_metrics)},
                           {"run_eagerly", false},
                           {"steps_per_execution", 1},
                           {"jit_compile", false}}));
  }
  return json;
}

StatusOr<std::unique_ptr<Model>> Model::from_json(const Json& json, ModelOptions options) {
  TENON_ASSIGN_OR_RETURN(const ObjectConfig object, object_config(ObjectKind::kModel, json));
  const std::string& class_name = object.name;
  const Json& config = json["config"];
  const bool sequential = class_name == "Sequential";
  if (!sequential && class_name != "Functional" && class_name != "Model") {
    return unimplemented("a model of class '", class_name,
                         "' is not implemented; there are Sequential, Functional");
  }
  SharedLayers shared;
  TENON_ASSIGN_OR_RETURN(Network network, sequential ? Network::from_sequential(config, shared)
                                                     : Network::from_functional(config, shared));
  if (options.name.empty()) options.name = config.text("name");
  const bool wants_compile = options.compile;
  std::unique_ptr<Model> model(new Model(std::move(network), sequential, std::move(options)));
  TENON_RETURN_IF_ERROR(model->status());
  const Json& compile = json["compile_config"];
  if (wants_compile && compile.is_object() && !compile["optimizer"].is_null()) {
    TENON_RETURN_IF_ERROR(
        model->compile({.optimizer = compile["optimizer"],
                        .loss = compile["loss"],
                        .loss_weights = compile["loss_weights"],
                        .metrics = metric_list(compile["metrics"]),
                        .weighted_metrics = metric_list(compile["weighted_metrics"])}));
  }
  return model;
}

Status Model::save(const std::string& path) const {
  TENON_RETURN_IF_ERROR(status_);
  if (!path.ends_with(".keras")) {
    return invalid_argument("the file name must end in '.keras', not '", path, "'");
  }
  const Json metadata =
      Json::object({{"keras_version", kKerasVersion}, {"date_saved", now_text()}});
  TENON_ASSIGN_OR_RETURN(const std::string weights, encode_weights(*this, optimizer_.get()));
  TENON_ASSIGN_OR_RETURN(const auto zip, ZipWriter::create(path));
  TENON_RETURN_IF_ERROR(zip->add("metadata.json", metadata.dump()));
  TENON_RETURN_IF_ERROR(zip->add("config.json", to_json().dump()));
  TENON_RETURN_IF_ERROR(zip->add("model.weights.h5", weights));
  if (!data_names_.classes.empty() || !data_names_.features.empty()) {
    TENON_RETURN_IF_ERROR(zip->add(kOwnMember, data_names_to_json(data_names_).dump()));
  }
  return zip->finish();
}

StatusOr<std::unique_ptr<Model>> Model::load(const std::string& path, ModelOptions options) {
  TENON_ASSIGN_OR_RETURN(const auto zip, ZipReader::open(path));
  TENON_RETURN_IF_ERROR(check_config_size(*zip, "config.json", path));
  TENON_ASSIGN_OR_RETURN(const std::string config, zip->read("config.json"));
  TENON_ASSIGN_OR_RETURN(std::string weights, zip->read("model.weights.h5"));
  const auto in_file = [&](const Status& status) { return with_context(status, path); };
  const StatusOr<Json> json = Json::parse(config);
  if (!json.ok()) return in_file(with_context(json.status(), "config.json"));
  options.max_weight_bytes = std::min<uint64_t>(options.max_weight_bytes, weights.size());
  StatusOr<std::unique_ptr<Model>> model = from_json(modern_config(*json), std::move(options));
  if (!model.ok()) return in_file(model.status());
  StatusOr<data::Names> names = read_data_names(*zip, path);
  if (!names.ok()) return in_file(with_context(names.status(), kOwnMember));
  (*model)->set_data_names(*std::move(names));
  TENON_ASSIGN_OR_RETURN(
      const auto file, Hdf5Reader::from_bytes(std::move(weights), cat(path, ":model.weights.h5")));
  TENON_RETURN_IF_ERROR(decode_weights(*file, **model));
  TENON_RETURN_IF_ERROR(decode_vocabularies(*zip, *file, **model));
  if (Optimizer* optimizer = (*model)->optimizer()) {
    TENON_ASSIGN_OR_RETURN((*model)->trained_, decode_optimizer(*file, *optimizer));
  }
  return model;
}

}  // namespace tenon::keras
