#include <nlohmann/json.hpp>

#include "tenon/base/files.h"
#include "tenon/saved_model/golden.h"

namespace tenon {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kMaxManifestBytes = 1 << 20;

std::string text_at(const ordered_json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
}

StatusOr<Tolerance> tolerance_from(const ordered_json& json) {
  Tolerance tolerance;
  for (const auto& [key, place] :
       {std::pair("relative", &tolerance.relative), std::pair("absolute", &tolerance.absolute)}) {
    const auto it = json.find(key);
    if (it == json.end()) continue;
    if (!it->is_number() || it->get<double>() < 0) {
      return invalid_argument("'", key, "' of a tolerance is not a number of at least 0");
    }
    *place = it->get<double>();
  }
  return tolerance;
}

ordered_json to_json(const Tolerance& tolerance) {
  return {{"relative", tolerance.relative}, {"absolute", tolerance.absolute}};
}

StatusOr<GoldenManifest> manifest_from(const ordered_json& json) {
  if (!json.is_object()) return invalid_argument("it is not a JSON object");
  GoldenManifest manifest;
  manifest.build = text_at(json, "build");
  manifest.isa = text_at(json, "isa");
  manifest.precision = text_at(json, "precision");
  const auto golden = json.find("golden");
  if (golden == json.end()) return manifest;
  if (!golden->is_object()) return invalid_argument("'golden' is not an object");
  if (const auto it = golden->find("tolerance"); it != golden->end()) {
    TENON_ASSIGN_OR_RETURN(manifest.tolerance, tolerance_from(*it));
  }
  if (const auto it = golden->find("outputs"); it != golden->end()) {
    for (const auto& [name, value] : it->items()) {
      TENON_ASSIGN_OR_RETURN(manifest.outputs[name], tolerance_from(value));
    }
  }
  return manifest;
}

}  // namespace

StatusOr<GoldenManifest> read_manifest(const std::string& folder) {
  const std::string path = join_path(folder, cat("assets.extra/", kManifestFile));
  if (!path_exists(path)) return GoldenManifest();
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kMaxManifestBytes));
  const ordered_json json = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return invalid_argument("'", path, "' is not JSON");
  StatusOr<GoldenManifest> manifest = manifest_from(json);
  if (!manifest.ok()) return with_context(manifest.status(), cat("'", path, "'"));
  return manifest;
}

std::string manifest_to_json(const GoldenManifest& manifest) {
  ordered_json json = {
      {"build", manifest.build}, {"isa", manifest.isa}, {"precision", manifest.precision}};
  if (manifest.tolerance) json["golden"]["tolerance"] = to_json(*manifest.tolerance);
  for (const auto& [name, tolerance] : manifest.outputs) {
    json["golden"]["outputs"][name] = to_json(tolerance);
  }
  return json.dump(2) + "\n";
}

}  // namespace tenon
