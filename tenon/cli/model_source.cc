#include "tenon/cli/model_source.h"

#include "tenon/base/files.h"
#include "tenon/cli/flags.h"
#include "tenon/keras/legacy_file.h"

namespace tenon::cli {
namespace {

using keras::Json;

StatusOr<Problem> problem_with(const Shape& row, int64_t largest, const data::Names& names) {
  if (largest > 100'000) {
    return invalid_argument("label ", largest, " asks for a model of more than 100000 classes");
  }
  return Problem{PartialShape(row),
                 std::max(largest + 1, static_cast<int64_t>(names.classes.size()))};
}

StatusOr<std::vector<keras::LayerRef>> mlp_layers(const Problem& problem) {
  return std::vector<keras::LayerRef>{
      keras::Input({.shape = problem.row}), keras::Flatten(),
      keras::Dense({.units = 128, .activation = "relu"}),
      keras::Dense({.units = problem.classes, .activation = "softmax"})};
}

StatusOr<std::vector<keras::LayerRef>> cnn_layers(const Problem& problem) {
  const int rank = problem.row.rank();
  if ((rank != 2 && rank != 3) || problem.row[0] < 8 || problem.row[1] < 8) {
    return invalid_argument("the model cnn takes images of at least 8x8, the data's rows are ",
                            problem.row);
  }
  const int64_t channels = rank == 3 ? problem.row[2] : 1;
  const auto conv = [](int64_t filters) {
    return keras::Conv2D({.filters = filters, .padding = "same", .activation = "relu"});
  };
  return std::vector<keras::LayerRef>{
      keras::Input({.shape = problem.row}),
      keras::Reshape({problem.row[0], problem.row[1], channels}),
      conv(32),
      keras::MaxPooling2D(),
      conv(64),
      keras::MaxPooling2D(),
      keras::Flatten(),
      keras::Dropout({.rate = 0.5}),
      keras::Dense({.units = problem.classes, .activation = "softmax"})};
}

constexpr struct {
  std::string_view name;
  StatusOr<std::vector<keras::LayerRef>> (*layers)(const Problem& problem);
} kNamedModels[] = {{"mlp", mlp_layers}, {"cnn", cnn_layers}};

StatusOr<std::unique_ptr<keras::Model>> model_from_json_file(const std::string& path,
                                                             keras::ModelOptions options) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, uint64_t{64} << 20));
  const StatusOr<Json> json = Json::parse(text);
  if (!json.ok()) return with_context(json.status(), path);
  StatusOr<std::unique_ptr<keras::Model>> model =
      keras::Model::from_json(*json, std::move(options));
  if (!model.ok()) return with_context(model.status(), path);
  return model;
}

// A name, or a serialised object where the text is JSON.
StatusOr<Json> named_or_json(std::string_view flag, const std::string& text) {
  if (!text.starts_with('{')) return Json(text);
  StatusOr<Json> json = Json::parse(text);
  if (!json.ok()) return with_context(json.status(), cat("--", flag));
  return json;
}

// Names, or Keras' JSON: a metric, a list of them, or either by output. Commas have parted it.
StatusOr<std::vector<Json>> metrics_of(const std::vector<std::string>& words) {
  std::vector<Json> metrics(words.begin(), words.end());
  if (words.empty() || (!words[0].starts_with('{') && !words[0].starts_with('['))) return metrics;
  StatusOr<Json> json = Json::parse(join(words, ","));
  if (!json.ok()) return with_context(json.status(), "--metrics");
  return json->items() ? *json->items() : std::vector<Json>{*json};
}

// {"class_name": NAME, "config": {KEY: VALUE}}.
Json with_option(const Json& object, std::string_view key, Json value) {
  Json config = object["config"].is_object() ? object["config"] : Json::object();
  config.set(key, std::move(value));
  Json changed = object;
  changed.set("config", std::move(config));
  return changed;
}

}  // namespace

StatusOr<Problem> problem_of(const data::Table& table) {
  if (!table.y.has_value()) {
    return invalid_argument("a built-in model learns classes: labels are expected");
  }
  const StatusOr<int64_t> largest = data::largest_label(table.y);
  if (!largest.ok()) return with_context(largest.status(), "a built-in model learns classes");
  return problem_with(Shape(table.x.shape().dims().subspan(1)), *largest, table.names);
}

StatusOr<Problem> problem_of(const data::RowStream& stream) {
  StatusOr<int64_t> largest = 0;
  if (stream.names.classes.empty()) largest = data::largest_label(stream);
  if (!largest.ok()) return with_context(largest.status(), "a built-in model learns classes");
  return problem_with(stream.shape, *largest, stream.names);
}

bool is_keras_file(std::string_view source) {
  return source.ends_with(".keras") || source.ends_with(".h5") || source.ends_with(".hdf5");
}

StatusOr<std::unique_ptr<keras::Model>> open_model(const std::string& source,
                                                   const Problem* problem,
                                                   keras::ModelOptions options) {
  if (source.ends_with(".keras")) return keras::Model::load(source, std::move(options));
  if (is_keras_file(source)) return keras::load_legacy_file(source, std::move(options));
  if (source.ends_with(".json")) return model_from_json_file(source, std::move(options));
  std::vector<std::string_view> names;
  for (const auto& named : kNamedModels) {
    names.push_back(named.name);
    if (named.name != source) continue;
    if (!problem) return invalid_argument("the model '", source, "' needs data to learn from");
    TENON_ASSIGN_OR_RETURN(std::vector<keras::LayerRef> layers, named.layers(*problem));
    options.name = source;
    auto model = std::make_unique<keras::Sequential>(std::move(layers), std::move(options));
    TENON_RETURN_IF_ERROR(model->status());
    return model;
  }
  return not_found("--model=", source, ": expected FILE.keras, FILE.h5, FILE.json or one of ",
                   join(names, ", "));
}

bool is_builtin_model(std::string_view source) {
  return std::any_of(std::begin(kNamedModels), std::end(kNamedModels),
                     [&](const auto& named) { return named.name == source; });
}

StatusOr<std::shared_ptr<const keras::MirroredStrategy>> open_strategy(
    const StrategyFlags& flags, std::shared_ptr<dist::WorkerGroup> workers) {
  if (flags.strategy.empty()) {
    if (flags.devices.empty()) return std::shared_ptr<const keras::MirroredStrategy>();
    return wrong_usage("--devices needs --strategy mirrored");
  }
  if (flags.strategy == "multi_worker" && !workers) {
    return wrong_usage("--strategy multi_worker is for `tenon train`");
  }
  if (flags.strategy != "mirrored" && !workers) {
    return wrong_usage("--strategy: expected mirrored or multi_worker");
  }
  keras::MirroredOptions options;
  options.workers = std::move(workers);
  for (std::string_view name : split(flags.devices, ',')) {
    if (!trim(name).empty()) options.devices.emplace_back(trim(name));
  }
  TENON_ASSIGN_OR_RETURN(auto strategy, keras::MirroredStrategy::create(std::move(options)));
  DeviceRegistry::global().prefer(strategy->devices()[0]);
  return strategy;
}

Status compile_model(keras::Model& model, const CompileFlags& flags) {
  const bool any = !flags.optimizer.empty() || !flags.loss.empty() || !flags.metrics.empty();
  if (model.compiled() && !any) {
    return flags.learning_rate > 0 ? model.set_learning_rate(flags.learning_rate)
                                   : absl::OkStatus();
  }
  if (flags.loss.empty()) {
    return wrong_usage(model.compiled()
                           ? "--optimizer and --metrics need --loss; without any of them, the "
                             "model is compiled as its file says"
                           : "--loss is missing, and the model's file names none");
  }
  keras::CompileOptions options;
  TENON_ASSIGN_OR_RETURN(
      Json optimizer,
      named_or_json("optimizer", flags.optimizer.empty() ? "rmsprop" : flags.optimizer));
  if (flags.learning_rate > 0) {
    TENON_ASSIGN_OR_RETURN(const keras::OptimizerPtr made, keras::optimizer_from_json(optimizer));
    optimizer = with_option(made->describe(), "learning_rate", flags.learning_rate);
  }
  options.optimizer = std::move(optimizer);
  TENON_ASSIGN_OR_RETURN(Json loss, named_or_json("loss", flags.loss));
  if (flags.from_logits) {
    TENON_ASSIGN_OR_RETURN(const keras::LossPtr made, keras::loss_from_json(loss));
    loss = with_option(made->describe(), "from_logits", true);
  }
  options.loss = std::move(loss);
  TENON_ASSIGN_OR_RETURN(options.metrics, metrics_of(flags.metrics));
  return model.compile(std::move(options));
}

}  // namespace tenon::cli
