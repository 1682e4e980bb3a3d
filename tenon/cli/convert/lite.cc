#include "tenon/cli/convert/lite.h"

#include "tenon/base/files.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/model_source.h"
#include "tenon/cli/training/model_export.h"
#include "tenon/io/npy.h"
#include "tenon/lite/writer/lite_writer.h"

namespace tenon::cli {
namespace {

constexpr std::pair<std::string_view, lite::Weights> kQuantizations[] = {
    {"", lite::Weights::kFloat32},
    {"float16", lite::Weights::kFloat16},
    {"dynamic", lite::Weights::kDynamic},
    {"int8", lite::Weights::kInt8},
    {"int16x8", lite::Weights::kInt16x8}};

constexpr size_t kShownLayers = 10;

StatusOr<lite::Weights> weights_of(const ConvertLiteFlags& flags) {
  for (const auto& [name, weights] : kQuantizations) {
    if (name != flags.quantize) continue;
    const bool needs = weights == lite::Weights::kInt8 || weights == lite::Weights::kInt16x8;
    if (needs == !flags.representative.empty()) return weights;
    return wrong_usage(needs ? cat("--representative DATA.npz is missing: --quantize ", name,
                                   " finds the ranges of activations on examples")
                             : std::string("--representative is for --quantize int8 and int16x8"));
  }
  return wrong_usage(
      cat("--quantize is '", flags.quantize, "'; expected float16, dynamic, int8 or int16x8"));
}

using LiteArrays = std::vector<std::pair<std::string, Tensor>>;

StatusOr<LiteArrays> read_arrays(const std::string& path) {
  LiteArrays arrays;
  if (path.empty()) return arrays;
  TENON_ASSIGN_OR_RETURN(const NpzReader reader, NpzReader::open(path));
  for (const std::string& name : reader.names()) {
    TENON_ASSIGN_OR_RETURN(Tensor value, reader.read(name));
    arrays.emplace_back(name, std::move(value));
  }
  return arrays;
}

// A SavedModel as it is; a file of Keras by way of the one that `tenon export` makes of it.
StatusOr<std::shared_ptr<SavedModel>> load_model(const std::string& source) {
  if (!is_keras_file(source)) return SavedModel::load(source);
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(source, nullptr));
  TENON_ASSIGN_OR_RETURN(const TemporaryDirectory folder, TemporaryDirectory::create());
  const std::string version = join_path(folder.path(), "1");
  TENON_RETURN_IF_ERROR(export_model(*model, version, nullptr, false));
  return SavedModel::load(version);
}

std::string output_of(const ConvertLiteFlags& flags) {
  if (!flags.output.empty()) return flags.output;
  std::string name = flags.model;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  if (is_keras_file(name)) name.resize(name.rfind('.'));
  return name + ".tflite";
}

std::string layers_json(std::span<const lite::LayerLoss> layers) {
  std::vector<std::string> rows;
  for (const lite::LayerLoss& layer : layers) {
    rows.push_back(
        cat("{\"name\":", json_string(layer.name), ",\"operator\":", json_string(layer.op),
            ",\"range\":", json_number(layer.range), ",\"error\":", json_number(layer.error),
            ",\"added\":", json_number(layer.added), "}"));
  }
  return cat("[", join(rows, ","), "]");
}

std::string column(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

// Those that lost most, the worst first.
void print_layers(std::vector<lite::LayerLoss> layers) {
  std::stable_sort(layers.begin(), layers.end(),
                   [](const auto& a, const auto& b) { return a.added > b.added; });
  if (layers.size() > kShownLayers) layers.resize(kShownLayers);
  const auto percent = [](double share) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.2f %%", 100 * share);
    return std::string(text);
  };
  print(
      cat(column("lost here", 12), column("lost so far", 14), column("operator", 24), "tensor\n"));
  for (const lite::LayerLoss& layer : layers) {
    print(cat(column(percent(layer.added), 12), column(percent(layer.error), 14),
              column(layer.op, 24), layer.name, "\n"));
  }
}

}  // namespace

Status convert_to_lite(const ConvertLiteFlags& flags) {
  lite::LiteOptions options;
  TENON_ASSIGN_OR_RETURN(options.weights, weights_of(flags));
  const std::string output = output_of(flags);
  if (path_exists(output) && !flags.overwrite) {
    return already_exists("'", output, "' is there; --overwrite replaces it");
  }
  TENON_ASSIGN_OR_RETURN(const LiteArrays arrays, read_arrays(flags.representative));
  options.representative = arrays;
  TENON_ASSIGN_OR_RETURN(const auto model, load_model(flags.model));
  TENON_ASSIGN_OR_RETURN(const lite::LiteFile file, lite::write_lite(*model, options));
  TENON_RETURN_IF_ERROR(write_file(output, file.bytes));
  if (flags.json) {
    print(cat("{\"file\":", json_string(output), ",\"bytes\":", file.bytes.size(),
              ",\"layers\":", layers_json(file.layers), "}\n"));
    return absl::OkStatus();
  }
  print(cat(output, ": ", file.bytes.size(), " bytes\n"));
  if (!file.layers.empty()) print_layers(file.layers);
  return absl::OkStatus();
}

}  // namespace tenon::cli
