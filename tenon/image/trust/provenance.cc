#include "tenon/image/trust/provenance.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/trust/json.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::string_view kStatementV1 = "https://in-toto.io/Statement/v1";
constexpr std::string_view kProvenanceV1 = "https://slsa.dev/provenance/v1";
constexpr std::string_view kBuildType = "urn:tenon:image-build:v1";
constexpr std::string_view kBuilder = "urn:tenon:image";
constexpr std::string_view kBaseName = "base";
constexpr std::string_view kLockAnnotation = "dev.tenon.image.lock";

std::string annotation_of(const Image& image, std::string_view name) {
  const auto found = image.manifest.annotations.find(std::string(name));
  return found == image.manifest.annotations.end() ? "" : found->second;
}

std::string package_purl(const Package& package, const Inventory& inventory) {
  return debian_purl(package, inventory.distribution_id, inventory.distribution_version);
}

// Package URLs of all that the image has.
std::multiset<std::string> purls_of(const Inventory& inventory) {
  std::multiset<std::string> result;
  for (const Package& package : inventory.packages) {
    result.insert(package_purl(package, inventory));
  }
  for (const Inventory::Wheel& wheel : inventory.wheels) {
    result.insert(wheel_purl(wheel.name, wheel.version));
  }
  return result;
}

struct Dependency {
  std::string name, uri, sha256;
};

// What the lock gives the image's platform; null when it does not know the platform.
StatusOr<std::vector<Dependency>> dependencies_of(const Lock& lock, const Image& image,
                                                  const Inventory& inventory) {
  const auto locked = std::find_if(
      lock.platforms.begin(), lock.platforms.end(),
      [&](const LockedPlatform& one) { return one.platform == image.config.platform; });
  if (locked == lock.platforms.end()) {
    return failed_precondition("the lock has no packages for ", to_string(image.config.platform));
  }
  std::vector<Dependency> result;
  if (!lock.base_digest.empty()) {
    TENON_ASSIGN_OR_RETURN(std::string hex, hex_of_digest(lock.base_digest));
    result.push_back({std::string(kBaseName), "", std::move(hex)});
  }
  for (const LockedPackage& one : locked->packages) {
    Package package;
    package.name = one.name;
    package.version = one.version;
    package.architecture = one.architecture;
    result.push_back({one.name, package_purl(package, inventory), one.sha256});
  }
  for (const auto& [layer, wheel] : lock.wheels) {
    result.push_back({wheel.name, wheel_purl(wheel.name, wheel.version), wheel.sha256});
  }
  return result;
}

// Each dependency is in the image, and, without a base, nothing else.
Status check_dependencies(const std::vector<Dependency>& dependencies, const Inventory& inventory,
                          std::string_view who) {
  std::multiset<std::string> there = purls_of(inventory);
  bool has_base = false;
  for (const Dependency& one : dependencies) {
    if (one.name == kBaseName && one.uri.empty()) {
      has_base = true;
      continue;
    }
    const auto found = there.find(one.uri);
    if (found == there.end()) {
      return failed_precondition(who, " names ", one.uri, ", which the image does not have");
    }
    there.erase(found);
  }
  if (!has_base && !there.empty()) {
    return failed_precondition("the image has ", *there.begin(), ", which ", who, " does not name");
  }
  return {};
}

// A field that must have one value where it is there, or always.
Status expect_field(const Json& object, const char* key, std::string_view expected,
                    bool required = true) {
  const bool there = object.is_object() && object.contains(key);
  if (!there && !required) return {};
  const std::string found = json_text(object, key);
  if (there && found == expected) return {};
  return failed_precondition("the statement gives '", found.substr(0, 200), "' as ", key,
                             ", the image '", expected, "'");
}

Status check_subject(const Json& statement, const Image& image) {
  const Json& subjects = json_child(statement, "subject");
  const bool named = subjects.is_array() &&
                     std::any_of(subjects.begin(), subjects.end(), [&](const Json& subject) {
                       return cat("sha256:", json_text(json_child(subject, "digest"), "sha256")) ==
                              image.descriptor.digest;
                     });
  if (named && subjects.size() == 1) return {};
  return failed_precondition("the statement is of another image than ", image.descriptor.digest);
}

}  // namespace

Status check_lock(const Image& image, const Inventory& inventory, const Lock& lock) {
  const std::string named = annotation_of(image, kLockAnnotation);
  const std::string ours = cat("sha256:", sha256_hex(write_lock(lock)));
  if (named != ours) {
    return failed_precondition(image.descriptor.digest, " was built from ",
                               named.empty() ? "no lock that it names" : cat("the lock ", named),
                               ", not from ", ours);
  }
  TENON_ASSIGN_OR_RETURN(const auto dependencies, dependencies_of(lock, image, inventory));
  return check_dependencies(dependencies, inventory, "the lock");
}

std::string provenance_statement(const Image& image, const Inventory& inventory, const Lock* lock) {
  Json external = Json::object(), resolved = Json::array();
  if (lock != nullptr) {
    external["lockSha256"] = sha256_hex(write_lock(*lock));
    external["declarationSha256"] = sha256_hex(lock->declaration);
    const auto dependencies = dependencies_of(*lock, image, inventory);
    if (dependencies.ok()) {
      for (const Dependency& one : *dependencies) {
        Json entry = {{"name", one.name}};
        if (!one.uri.empty()) entry["uri"] = one.uri;
        entry["digest"] = {{"sha256", one.sha256}};
        resolved.push_back(std::move(entry));
      }
    }
  }
  const std::string name = inventory.image_name.empty() ? "image" : inventory.image_name;
  Json json;
  json["_type"] = kStatementV1;
  json["subject"] =
      Json::array({{{"name", name}, {"digest", {{"sha256", image.descriptor.digest.substr(7)}}}}});
  json["predicateType"] = kProvenanceV1;
  Json& predicate = json["predicate"];
  predicate["buildDefinition"] = {{"buildType", kBuildType},
                                  {"externalParameters", external},
                                  {"internalParameters", {{"created", image.config.created}}},
                                  {"resolvedDependencies", resolved}};
  predicate["runDetails"] = {{"builder", {{"id", kBuilder}}}};
  return json_dump(json);
}

Status check_statement(std::string_view statement, const Image& image, const Inventory& inventory) {
  const Json json = Json::parse(statement, nullptr, false);
  if (!json.is_object()) return data_loss("a signed statement is no JSON object");
  TENON_RETURN_IF_ERROR(expect_field(json, "_type", kStatementV1));
  TENON_RETURN_IF_ERROR(check_subject(json, image));
  TENON_RETURN_IF_ERROR(expect_field(json, "predicateType", kProvenanceV1));
  const Json& predicate = json_child(json, "predicate");
  const Json& build = json_child(predicate, "buildDefinition");
  TENON_RETURN_IF_ERROR(expect_field(build, "buildType", kBuildType));
  const Json& builder = json_child(json_child(predicate, "runDetails"), "builder");
  TENON_RETURN_IF_ERROR(expect_field(builder, "id", kBuilder));
  TENON_RETURN_IF_ERROR(expect_field(json_child(build, "internalParameters"), "created",
                                     image.config.created, false));
  const Json& external = json_child(build, "externalParameters");
  std::vector<Dependency> dependencies;
  for (const Json& one : json_child(build, "resolvedDependencies")) {
    dependencies.push_back({json_text(one, "name"), json_text(one, "uri"),
                            json_text(json_child(one, "digest"), "sha256")});
    if (!is_sha256_hex(dependencies.back().sha256)) {
      return failed_precondition("the statement names '", dependencies.back().name.substr(0, 200),
                                 "' without its digest");
    }
  }
  if (!external.is_object() || !external.contains("lockSha256")) {
    // Without a lock it says nothing of how the image was built.
    const bool silent = dependencies.empty() && !external.contains("declarationSha256");
    return silent ? Status() : failed_precondition("the statement names dependencies but no lock");
  }
  const std::string lock = annotation_of(image, kLockAnnotation);
  TENON_RETURN_IF_ERROR(
      expect_field(external, "lockSha256", lock.starts_with("sha256:") ? lock.substr(7) : lock));
  return check_dependencies(dependencies, inventory, "the statement");
}

}  // namespace tenon::image
