#include "tenon/image/lock.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace tenon::image {
namespace {

using Json = nlohmann::ordered_json;

// Reads fields of objects that may hold anything; the first error is kept.
class JsonFields {
 public:
  explicit JsonFields(std::string_view what) : what_(what) {}

  std::string text(const Json& object, const char* key, bool required = true) {
    const auto found = object.find(key);
    if (found == object.end() && !required) return {};
    if (found == object.end() || !found->is_string()) return fail(key, "a text"), "";
    return found->get<std::string>();
  }
  uint64_t number(const Json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_unsigned()) return fail(key, "a number"), 0;
    return found->get<uint64_t>();
  }
  std::string sha256(const Json& object, const char* key) {
    const std::string value = text(object, key);
    if (!is_sha256_hex(value)) fail(key, "64 hex digits");
    return value;
  }
  const Json& list(const Json& object, const char* key) {
    static const Json empty = Json::array();
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array()) return fail(key, "a list"), empty;
    for (const Json& item : *found) {
      if (!item.is_object()) return fail(key, "a list of objects"), empty;
    }
    return *found;
  }
  void fail(std::string_view key, std::string_view expected) {
    if (status_.ok()) status_ = invalid_argument(what_, ": '", key, "' is not ", expected);
  }
  const Status& status() const { return status_; }

 private:
  std::string what_;
  Status status_;
};

Json json_of_package(const LockedPackage& package) {
  return {{"name", package.name},
          {"version", package.version},
          {"architecture", package.architecture},
          {"sha256", package.sha256},
          {"size", package.size},
          {"source", package.source},
          {"sourceVersion", package.source_version},
          {"filename", package.filename},
          {"archive", package.archive},
          {"layer", package.layer}};
}

LockedPackage package_of_json(const Json& json, JsonFields& fields) {
  LockedPackage package;
  package.name = fields.text(json, "name");
  package.version = fields.text(json, "version");
  package.architecture = fields.text(json, "architecture");
  package.sha256 = fields.sha256(json, "sha256");
  package.size = fields.number(json, "size");
  package.source = fields.text(json, "source");
  package.source_version = fields.text(json, "sourceVersion");
  package.filename = fields.text(json, "filename");
  package.archive = fields.text(json, "archive");
  package.layer = fields.text(json, "layer");
  // The name becomes a file name in the image.
  if (package.name.empty() || package.name.find('/') != std::string::npos ||
      package.name[0] == '.') {
    fields.fail("name", "a package name");
  }
  return package;
}

}  // namespace

std::string write_lock(const Lock& lock) {
  Json json;
  json["lockVersion"] = 1;
  json["created"] = lock.created;
  if (!lock.base_digest.empty()) json["baseDigest"] = lock.base_digest;
  json["declarationSha256"] = sha256_hex(lock.declaration);
  json["archives"] = Json::array();
  for (const LockedArchive& archive : lock.archives) {
    json["archives"].push_back({{"uri", archive.uri},
                                {"suite", archive.suite},
                                {"date", archive.date},
                                {"releaseSha256", archive.release_sha256}});
  }
  json["platforms"] = Json::array();
  for (const LockedPlatform& platform : lock.platforms) {
    Json packages = Json::array();
    for (const LockedPackage& package : platform.packages) {
      packages.push_back(json_of_package(package));
    }
    json["platforms"].push_back(
        {{"platform", to_string(platform.platform)}, {"packages", std::move(packages)}});
  }
  json["wheels"] = Json::array();
  for (const auto& [layer, wheel] : lock.wheels) {
    const bool from_index = !wheel.file.empty();
    json["wheels"].push_back({{"name", wheel.name},
                              {"version", wheel.version},
                              {"sha256", wheel.sha256},
                              {"size", wheel.size},
                              {from_index ? "file" : "url", from_index ? wheel.file : wheel.url},
                              {"layer", layer}});
  }
  json["declaration"] = lock.declaration;
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusOr<Lock> parse_lock(std::string_view text, std::string_view what) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return invalid_argument(what, " is not a JSON object");
  JsonFields fields(what);
  if (fields.number(json, "lockVersion") != 1) fields.fail("lockVersion", "1");
  Lock lock;
  lock.created = static_cast<int64_t>(fields.number(json, "created"));
  lock.base_digest = fields.text(json, "baseDigest", false);
  lock.declaration = fields.text(json, "declaration");
  if (fields.text(json, "declarationSha256") != sha256_hex(lock.declaration)) {
    fields.fail("declarationSha256", "the digest of 'declaration'");
  }
  for (const Json& archive : fields.list(json, "archives")) {
    lock.archives.push_back({fields.text(archive, "uri"), fields.text(archive, "suite"),
                             fields.sha256(archive, "releaseSha256"),
                             static_cast<int64_t>(fields.number(archive, "date"))});
  }
  for (const Json& entry : fields.list(json, "platforms")) {
    LockedPlatform& locked = lock.platforms.emplace_back();
    TENON_ASSIGN_OR_RETURN(locked.platform, parse_platform(fields.text(entry, "platform")));
    for (const Json& package : fields.list(entry, "packages")) {
      locked.packages.push_back(package_of_json(package, fields));
    }
  }
  for (const Json& entry : fields.list(json, "wheels")) {
    lock.wheels.push_back({fields.text(entry, "layer"),
                           {fields.text(entry, "name"), fields.text(entry, "version"),
                            fields.sha256(entry, "sha256"), fields.text(entry, "url", false),
                            fields.text(entry, "file", false), fields.number(entry, "size")}});
    TENON_RETURN_IF_ERROR(with_context(check_wheel(lock.wheels.back().second), what));
  }
  TENON_RETURN_IF_ERROR(fields.status());
  return lock;
}

std::vector<StoreItem> items_of_lock(const Lock& lock, const std::string& declaration_folder) {
  std::map<std::string, StoreItem> items;
  for (const LockedPlatform& platform : lock.platforms) {
    for (const LockedPackage& package : platform.packages) {
      items[package.sha256] = {cat(package.archive, "/", package.filename), package.sha256,
                               cat("package ", package.name, " ", package.version), package.size};
    }
  }
  for (const auto& [layer, wheel] : lock.wheels) {
    const bool is_url = wheel.url.find("://") != std::string::npos;
    // What the index gives has no place of its own: fetch_index_wheels() has put it there.
    const std::string url = is_url || wheel.url.empty()
                                ? wheel.url
                                : cat("file://", join_path(declaration_folder, wheel.url));
    items[wheel.sha256] = {url, wheel.sha256, cat("wheel ", wheel.name, " ", wheel.version),
                           wheel.size};
  }
  std::vector<StoreItem> result;
  for (auto& [sha256, item] : items) result.push_back(std::move(item));
  return result;
}

Status fetch_locked(const Lock& lock, const std::string& declaration_folder, const Store& store) {
  std::vector<WheelItem> wheels;
  for (const auto& [layer, wheel] : lock.wheels) wheels.push_back(wheel);
  TENON_RETURN_IF_ERROR(fetch_index_wheels(store, wheels));
  return fetch_all(store, items_of_lock(lock, declaration_folder)).status();
}

namespace {

// The base that a registry has given, as the store keeps it.
Status copy_base(const Declaration& declaration, const Store& store, const Store& target) {
  const std::string from = base_image_path(declaration, store.folder());
  const std::string to = base_image_path(declaration, target.folder());
  TENON_RETURN_IF_ERROR(create_directories(to));
  std::error_code error;
  std::filesystem::copy(
      from, to,
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing,
      error);
  return error ? errno_status(error.value(), "copying the base", from) : Status();
}

}  // namespace

Status vendor_lock(const Lock& lock, const Store& store, const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(const Store target, Store::open(folder));
  for (const StoreItem& item : items_of_lock(lock, "")) {
    auto path = store.verified_path(item.sha256);
    if (!path.ok()) return with_context(path.status(), item.what);
    TENON_RETURN_IF_ERROR(target.fetch(cat("file://", *path), item.sha256, item.size, item.what));
  }
  TENON_ASSIGN_OR_RETURN(const Declaration declaration,
                         parse_declaration(lock.declaration, "the lock's declaration", ""));
  return base_reference(declaration).empty() ? Status() : copy_base(declaration, store, target);
}

}  // namespace tenon::image
