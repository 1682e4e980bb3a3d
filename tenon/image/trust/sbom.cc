#include "tenon/image/trust/sbom.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tenon/base/percent.h"
#include "tenon/image/archive/sha256.h"
#include "tenon/image/trust/json.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

// RFC 3986 as package-url asks for it.
std::string percent_encode(std::string_view text) {
  return percent_encoded(text, [](char c) {
    return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
  });
}

// SPDX identifiers: letters, digits, '.' and '-'.
std::string spdx_id(std::string_view kind, std::string_view name) {
  std::string out = cat("SPDXRef-", kind, "-");
  for (const char c : name) {
    const bool allowed = is_letter_or_digit(c) || c == '.' || c == '-';
    out += allowed ? c : '-';
  }
  return out;
}

// A version 4-shaped UUID from a digest, so that equal images get equal serial numbers.
std::string uuid_of(std::string_view digest) {
  std::string hex = sha256_hex(digest).substr(0, 32);
  hex[12] = '4';
  hex[16] = '8';
  return cat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
             hex.substr(16, 4), "-", hex.substr(20));
}

std::string image_name_of(const Inventory& inventory) {
  return inventory.image_name.empty() ? "image" : inventory.image_name;
}

Json spdx_package(const std::string& id, const std::string& name, const std::string& version,
                  const std::string& purl, const std::string& purpose) {
  Json json;
  json["name"] = name;
  json["SPDXID"] = id;
  if (!version.empty()) json["versionInfo"] = version;
  json["downloadLocation"] = "NOASSERTION";
  json["filesAnalyzed"] = false;
  json["licenseConcluded"] = "NOASSERTION";
  json["licenseDeclared"] = "NOASSERTION";
  json["copyrightText"] = "NOASSERTION";
  if (!purpose.empty()) json["primaryPackagePurpose"] = purpose;
  if (!purl.empty()) {
    json["externalRefs"] = Json::array({{{"referenceCategory", "PACKAGE-MANAGER"},
                                         {"referenceType", "purl"},
                                         {"referenceLocator", purl}}});
  }
  return json;
}

// "Debian GNU Libc Maintainers <x@y>" as SPDX writes an organisation.
std::string spdx_supplier(const std::string& supplier) {
  const size_t open = supplier.find('<'), close = supplier.find('>');
  if (open == std::string::npos || close == std::string::npos || close < open) {
    return supplier.empty() ? "NOASSERTION" : cat("Organization: ", supplier);
  }
  const std::string_view name = trim(std::string_view(supplier).substr(0, open));
  return cat("Organization: ", name.empty() ? supplier.substr(open + 1, close - open - 1) : name,
             " (", supplier.substr(open + 1, close - open - 1), ")");
}

// A URL without white space and control characters, as both formats ask for it.
bool is_plain_url(const std::string& text) {
  return text.find("://") != std::string::npos && std::all_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
         });
}

void add_spdx_facts(const Inventory::Facts& facts, Json& package) {
  package["supplier"] = spdx_supplier(facts.supplier);
  if (is_plain_url(facts.download)) package["downloadLocation"] = facts.download;
  if (is_plain_url(facts.homepage)) package["homepage"] = facts.homepage;
  if (!facts.licence.expression.empty()) package["licenseDeclared"] = facts.licence.expression;
  if (!facts.sha256.empty()) {
    package["checksums"] =
        Json::array({{{"algorithm", "SHA256"}, {"checksumValue", facts.sha256}}});
  }
}

void add_cyclonedx_facts(const Inventory::Facts& facts, Json& component) {
  if (!facts.supplier.empty()) component["supplier"] = {{"name", facts.supplier}};
  if (!facts.sha256.empty()) {
    component["hashes"] = Json::array({{{"alg", "SHA-256"}, {"content", facts.sha256}}});
  }
  if (!facts.licence.expression.empty()) {
    component["licenses"] = Json::array({{{"expression", facts.licence.expression}}});
  }
  Json references = Json::array();
  if (is_plain_url(facts.download)) {
    references.push_back({{"type", "distribution"}, {"url", facts.download}});
  }
  if (is_plain_url(facts.homepage)) {
    references.push_back({{"type", "website"}, {"url", facts.homepage}});
  }
  if (!references.empty()) component["externalReferences"] = std::move(references);
}

// The texts behind LicenseRef- names, each once. Wheels may call several texts by one name.
Json extracted_licences(const Inventory& inventory) {
  std::map<std::string, std::string> texts;
  for (const Inventory::Facts& facts : inventory.facts) {
    for (const auto& [reference, text] : facts.licence.texts) texts.emplace(reference, text);
  }
  std::set<std::string> seen;
  for (const Inventory::Wheel& wheel : inventory.wheels) {
    for (const auto& [reference, text] : wheel.facts.licence.texts) {
      if (!seen.insert(cat(reference, "\n", text)).second) continue;
      std::string& all = texts[reference];
      all += cat(all.empty() ? "" : "\n\n", wheel.name, " ", wheel.version, ":\n\n", text);
    }
  }
  Json json = Json::array();
  for (const auto& [reference, text] : texts) {
    json.push_back({{"licenseId", reference}, {"extractedText", text}});
  }
  return json;
}

Json relationship(const std::string& from, const char* type, const std::string& to) {
  return {{"spdxElementId", from}, {"relationshipType", type}, {"relatedSpdxElement", to}};
}

}  // namespace

std::string wheel_purl(std::string_view name, std::string_view version) {
  return cat("pkg:pypi/", percent_encode(normal_wheel_name(name)), "@", percent_encode(version));
}

std::string debian_purl(const Package& package, std::string_view distribution_id,
                        std::string_view distribution_version) {
  const std::string id = distribution_id.empty() ? "debian" : std::string(distribution_id);
  std::string purl = cat("pkg:deb/", percent_encode(id), "/", percent_encode(package.name), "@",
                         percent_encode(package.version), "?arch=", package.architecture);
  if (!distribution_version.empty()) {
    purl += cat("&distro=", percent_encode(cat(id, "-", distribution_version)));
  }
  return purl;
}

std::string write_spdx(const Inventory& inventory, std::string_view tool_version) {
  const std::string image_id = "SPDXRef-Image";
  Json json;
  json["spdxVersion"] = "SPDX-2.3";
  json["dataLicense"] = "CC0-1.0";
  json["SPDXID"] = "SPDXRef-DOCUMENT";
  json["name"] = image_name_of(inventory);
  json["documentNamespace"] = cat("urn:uuid:", uuid_of(cat("spdx ", inventory.image_digest)));
  json["creationInfo"] = {{"created", inventory.created},
                          {"creators", Json::array({cat("Tool: tenon-", tool_version)})}};
  json["documentDescribes"] = Json::array({image_id});
  Json image = spdx_package(image_id, image_name_of(inventory), inventory.image_digest,
                            cat("pkg:oci/image@", percent_encode(inventory.image_digest),
                                "?arch=", inventory.architecture),
                            "CONTAINER");
  image["checksums"] =
      Json::array({{{"algorithm", "SHA256"}, {"checksumValue", inventory.image_digest.substr(7)}}});
  json["packages"] = Json::array({image});
  json["relationships"] = Json::array({relationship("SPDXRef-DOCUMENT", "DESCRIBES", image_id)});
  const auto contain = [&](const std::string& id) {
    json["relationships"].push_back(relationship(image_id, "CONTAINS", id));
  };
  std::map<std::string, std::string> ids;  // by package name
  for (size_t i = 0; i < inventory.packages.size(); ++i) {
    const Package& package = inventory.packages[i];
    const std::string id = spdx_id("deb", cat(package.name, "-", package.architecture));
    ids[package.name] = id;
    Json entry = spdx_package(
        id, package.name, package.version,
        debian_purl(package, inventory.distribution_id, inventory.distribution_version), "LIBRARY");
    entry["sourceInfo"] =
        cat("built from source package ", package.source, " ", package.source_version);
    add_spdx_facts(inventory.facts[i], entry);
    json["packages"].push_back(std::move(entry));
    contain(id);
  }
  for (const Inventory::Wheel& wheel : inventory.wheels) {
    const std::string id = spdx_id("pypi", wheel.name);
    Json entry = spdx_package(id, wheel.name, wheel.version, wheel_purl(wheel.name, wheel.version),
                              "LIBRARY");
    add_spdx_facts(wheel.facts, entry);
    json["packages"].push_back(std::move(entry));
    contain(id);
  }
  for (const Inventory::File& file : inventory.unowned_programs) {
    const std::string id = spdx_id("file", file.path.substr(1));
    Json entry = spdx_package(id, file.path, "", "", "APPLICATION");
    entry["checksums"] = Json::array({{{"algorithm", "SHA256"}, {"checksumValue", file.sha256}}});
    json["packages"].push_back(std::move(entry));
    contain(id);
    for (const std::string& library : file.libraries) {
      if (ids.contains(library)) {
        json["relationships"].push_back(relationship(id, "DYNAMIC_LINK", ids[library]));
      }
    }
  }
  if (const Inventory::Model& model = inventory.model; !model.name.empty()) {
    const std::string id = spdx_id("model", model.name);
    Json entry = spdx_package(id, model.name, model.version, "", "OTHER");
    entry["comment"] = cat("SavedModel; golden records: ", model.golden);
    if (const auto hex = hex_of_digest(model.digest); hex.ok()) {
      entry["checksums"] = Json::array({{{"algorithm", "SHA256"}, {"checksumValue", *hex}}});
    }
    json["packages"].push_back(std::move(entry));
    contain(id);
  }
  if (Json texts = extracted_licences(inventory); !texts.empty()) {
    json["hasExtractedLicensingInfos"] = std::move(texts);
  }
  return json_dump(json, 1) + "\n";
}

std::string write_cyclonedx(const Inventory& inventory, std::string_view tool_version) {
  Json json;
  json["bomFormat"] = "CycloneDX";
  json["specVersion"] = "1.5";
  json["serialNumber"] = cat("urn:uuid:", uuid_of(cat("cyclonedx ", inventory.image_digest)));
  json["version"] = 1;
  Json& metadata = json["metadata"];
  metadata["timestamp"] = inventory.created;
  metadata["tools"] = {{"components", Json::array({{{"type", "application"},
                                                    {"name", "tenon"},
                                                    {"version", std::string(tool_version)}}})}};
  metadata["component"] = {
      {"type", "container"},
      {"bom-ref", inventory.image_digest},
      {"name", image_name_of(inventory)},
      {"version", inventory.image_digest},
      {"hashes",
       Json::array({{{"alg", "SHA-256"}, {"content", inventory.image_digest.substr(7)}}})}};
  Json& components = json["components"] = Json::array();
  if (!inventory.distribution_id.empty()) {
    components.push_back({{"type", "operating-system"},
                          {"bom-ref", "os"},
                          {"name", inventory.distribution_id},
                          {"version", inventory.distribution_version}});
  }
  std::map<std::string, std::string> references;  // by package name
  for (size_t i = 0; i < inventory.packages.size(); ++i) {
    const Package& package = inventory.packages[i];
    const std::string purl =
        debian_purl(package, inventory.distribution_id, inventory.distribution_version);
    references[package.name] = purl;
    Json entry = {
        {"type", "library"},
        {"bom-ref", purl},
        {"name", package.name},
        {"version", package.version},
        {"purl", purl},
        {"properties",
         Json::array({{{"name", "tenon:source"}, {"value", package.source}},
                      {{"name", "tenon:sourceVersion"}, {"value", package.source_version}}})}};
    add_cyclonedx_facts(inventory.facts[i], entry);
    components.push_back(std::move(entry));
  }
  for (const Inventory::Wheel& wheel : inventory.wheels) {
    const std::string purl = wheel_purl(wheel.name, wheel.version);
    Json entry = {{"type", "library"},
                  {"bom-ref", purl},
                  {"name", wheel.name},
                  {"version", wheel.version},
                  {"purl", purl}};
    add_cyclonedx_facts(wheel.facts, entry);
    components.push_back(std::move(entry));
  }
  Json dependencies = Json::array();
  for (const Inventory::File& file : inventory.unowned_programs) {
    components.push_back(
        {{"type", "file"},
         {"bom-ref", file.path},
         {"name", file.path},
         {"hashes", Json::array({{{"alg", "SHA-256"}, {"content", file.sha256}}})}});
    Json libraries = Json::array();
    for (const std::string& library : file.libraries) {
      if (references.contains(library)) libraries.push_back(references[library]);
    }
    if (!libraries.empty()) dependencies.push_back({{"ref", file.path}, {"dependsOn", libraries}});
  }
  if (const Inventory::Model& model = inventory.model; !model.name.empty()) {
    Json entry = {
        {"type", "machine-learning-model"},
        {"bom-ref", cat("model:", model.name)},
        {"name", model.name},
        {"version", model.version},
        {"properties", Json::array({{{"name", "tenon:golden"}, {"value", model.golden}}})}};
    if (const auto hex = hex_of_digest(model.digest); hex.ok()) {
      entry["hashes"] = Json::array({{{"alg", "SHA-256"}, {"content", *hex}}});
    }
    components.push_back(std::move(entry));
  }
  if (!dependencies.empty()) json["dependencies"] = std::move(dependencies);
  return json_dump(json, 1) + "\n";
}

}  // namespace tenon::image
