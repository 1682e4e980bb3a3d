#include "tenon/image/declaration.h"

#include <algorithm>
#include <set>

#include "tenon/base/files.h"
#include "tenon/image/archive/sha256.h"
#include "tenon/image/archive/tar.h"
#include "tenon/image/oci/name.h"
#include "tenon/image/shipped_declarations.h"
#include "tenon/image/yaml.h"

namespace tenon::image {
namespace {

constexpr size_t kLongestVersion = 128;

using Strings = std::vector<std::string>;
using Map = std::map<std::string, std::string>;

// Reads one mapping by key. The first error is kept, so that fields are read in a row.
class FieldReader {
 public:
  FieldReader(const YamlNode& node, std::string where) : node_(node), where_(std::move(where)) {
    if (node.kind != YamlNode::Kind::kMapping) fail(node, "expected 'key: value' lines");
  }

  void text(std::string_view key, std::string& out) {
    if (const YamlNode* value = take(key)) scalar(*value, key, out);
  }
  void boolean(std::string_view key, bool& out) {
    std::string word;
    text(key, word);
    if (word.empty()) return;
    if (word != "true" && word != "false") fail(node_, cat(key, " is neither true nor false"));
    out = word == "true";
  }
  void number(std::string_view key, int64_t& out) {
    std::string word;
    text(key, word);
    if (!word.empty() && !parse_number(word, out)) fail(node_, cat(key, " is not a number"));
  }
  void list(std::string_view key, Strings& out) {
    const YamlNode* value = take(key);
    if (value == nullptr) return;
    if (value->kind != YamlNode::Kind::kSequence) return fail(*value, cat(key, " is not a list"));
    for (const YamlNode& item : value->items) scalar(item, key, out.emplace_back());
  }
  void map(std::string_view key, Map& out) {
    const YamlNode* value = take(key);
    if (value == nullptr) return;
    if (value->kind != YamlNode::Kind::kMapping) return fail(*value, cat(key, " is no mapping"));
    for (size_t i = 0; i < value->keys.size(); ++i) {
      scalar(value->items[i], value->keys[i], out[value->keys[i]]);
    }
  }
  // Calls `read` with a reader for each mapping of a list.
  template <class F>
  void each(std::string_view key, F read) {
    const YamlNode* value = take(key);
    if (value == nullptr) return;
    if (value->kind != YamlNode::Kind::kSequence) return fail(*value, cat(key, " is not a list"));
    for (const YamlNode& item : value->items) {
      FieldReader inner(item, where_);
      read(inner);
      inner.merge_into(*this);
    }
  }
  template <class F>
  void one(std::string_view key, F read) {
    const YamlNode* value = take(key);
    if (value == nullptr) return;
    FieldReader inner(*value, where_);
    read(inner);
    inner.merge_into(*this);
  }
  bool has(std::string_view key) const { return node_.find(key) != nullptr; }
  void fail(std::string_view why) { fail(node_, why); }
  void check(const Status& status) {
    if (!status.ok()) fail(node_, message_of(status));
  }

  Status finish() {
    for (size_t i = 0; i < node_.keys.size(); ++i) {
      const std::string& key = node_.keys[i];
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        fail(node_.items[i], cat("unknown key '", key, "'; known are ", join(known_, ", ")));
      }
    }
    return status_;
  }

 private:
  const YamlNode* take(std::string_view key) {
    known_.emplace_back(key);
    return node_.find(key);
  }
  void scalar(const YamlNode& value, std::string_view key, std::string& out) {
    if (value.kind != YamlNode::Kind::kScalar) return fail(value, cat(key, " is not a text"));
    out = value.scalar;
  }
  void fail(const YamlNode& at, std::string_view why) {
    if (status_.ok()) status_ = invalid_argument(where_, " line ", at.line, ": ", why);
  }
  void merge_into(FieldReader& outer) {
    const Status status = finish();
    if (outer.status_.ok()) outer.status_ = status;
  }

  const YamlNode& node_;
  std::string where_;
  Strings known_;
  Status status_;
};

// "65532:65532" or "65532".
bool parse_owner(std::string_view text, uint32_t& uid, uint32_t& gid) {
  const size_t colon = text.find(':');
  int64_t first = 0, second = 0;
  if (!parse_number(text.substr(0, colon), first) || first < 0 || first > 0x7fffffff) return false;
  second = first;
  if (colon != std::string_view::npos &&
      (!parse_number(text.substr(colon + 1), second) || second < 0 || second > 0x7fffffff)) {
    return false;
  }
  uid = static_cast<uint32_t>(first);
  gid = static_cast<uint32_t>(second);
  return true;
}

bool parse_mode(std::string_view text, uint32_t& mode) {
  if (text.empty() || text.size() > 5) return false;
  mode = 0;
  for (char c : text) {
    if (c < '0' || c > '7') return false;
    mode = mode * 8 + static_cast<uint32_t>(c - '0');
  }
  return mode <= 07777;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_signal(std::string_view text) {
  int64_t number = 0;
  if (parse_number(text, number)) return number >= 1 && number <= 64;
  return text.size() > 3 && text.size() <= 12 && text.starts_with("SIG") &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '-';
         });
}

void read_file_item(FieldReader& reader, FileItem& item) {
  std::string mode, owner;
  reader.text("path", item.path);
  reader.text("source", item.source);
  reader.text("link", item.link);
  if (reader.has("content")) {
    reader.text("content", item.content.emplace());
  }
  reader.boolean("directory", item.directory);
  reader.boolean("strip", item.strip);
  reader.text("mode", mode);
  reader.text("owner", owner);
  if (!item.path.starts_with('/')) {
    reader.fail(cat("path '", item.path, "' is not absolute"));
  } else {
    const auto normal = normalise_path(std::string_view(item.path).substr(1));
    reader.check(normal.status());
    if (normal.ok()) item.path = cat("/", *normal);
    if (item.path == "/") reader.fail("the path of a file is '/'");
    if (has_control(item.path)) reader.fail("a path with control characters");
  }
  const int given =
      !item.source.empty() + !item.link.empty() + item.content.has_value() + item.directory;
  if (item.strip && item.source.empty()) reader.fail(cat("'", item.path, "': no source to strip"));
  if (given != 1) {
    reader.fail(cat("'", item.path, "' needs exactly one of source, link, content, directory"));
  }
  uint32_t bits = 0;
  if (!mode.empty()) {
    if (!parse_mode(mode, bits)) reader.fail(cat("mode '", mode, "' is not octal, like 0755"));
    item.mode = bits;
  }
  if (!owner.empty() && !parse_owner(owner, item.uid, item.gid)) {
    reader.fail(cat("owner '", owner, "' is not UID:GID in numbers"));
  }
}

void read_wheel(FieldReader& reader, WheelItem& item) {
  reader.text("name", item.name);
  reader.text("version", item.version);
  reader.text("sha256", item.sha256);
  reader.text("url", item.url);
  reader.text("file", item.file);
  reader.check(check_wheel(item));
  if (!is_sha256_hex(item.sha256)) {
    reader.fail(cat("wheel ", item.name, " is not pinned by a sha256 of 64 hex digits"));
  }
}

void read_layer(FieldReader& reader, LayerSpec& layer) {
  reader.text("name", layer.name);
  reader.list("packages", layer.packages);
  reader.each("wheels", [&](FieldReader& r) { read_wheel(r, layer.wheels.emplace_back()); });
  reader.each("files", [&](FieldReader& r) { read_file_item(r, layer.files.emplace_back()); });
  if (layer.name.empty()) reader.fail("a layer needs a name");
}

void read_health(FieldReader& reader, Declaration& out) {
  HealthCheck& health = out.health.emplace();
  reader.list("test", health.test);
  reader.number("interval", health.interval_s);
  reader.number("timeout", health.timeout_s);
  reader.number("start_period", health.start_period_s);
  reader.number("retries", health.retries);
  if (health.test.empty()) reader.fail("health needs a test");
}

void read_archive(FieldReader& reader, ArchiveSpec& archive) {
  reader.text("uri", archive.uri);
  reader.list("suites", archive.suites);
  reader.list("components", archive.components);
  reader.text("keyring", archive.keyring);
  if (archive.uri.empty() || archive.suites.empty() || archive.components.empty() ||
      archive.keyring.empty()) {
    reader.fail("an archive needs uri, suites, components and keyring");
  }
}

void read_top(FieldReader& reader, Declaration& out) {
  reader.text("name", out.name);
  reader.text("version", out.version);
  reader.text("repository", out.repository);
  reader.text("base", out.base);
  reader.each("archive", [&](FieldReader& r) { read_archive(r, out.archives.emplace_back()); });
  Strings platforms;
  reader.list("platforms", platforms);
  for (const std::string& text : platforms) {
    const auto platform = parse_platform(text);
    reader.check(platform.status());
    if (platform.ok()) out.platforms.push_back(*platform);
  }
  LayerSpec& base = out.layers.emplace_back();
  base.name = "base";
  reader.list("packages", base.packages);
  reader.list("waive", out.waive);
  reader.list("exclude", out.exclude);
  reader.boolean("tenon_libraries", out.tenon_libraries);
  reader.boolean("prune_libraries", out.prune_libraries);
  reader.boolean("byte_compile", out.byte_compile);
  reader.list("loaded_libraries", out.loaded_libraries);
  reader.list("icu_data", out.icu_data);
  if (reader.has("icu_data") && out.icu_data.empty()) reader.fail("icu_data names nothing");
  reader.each("files",
              [&](FieldReader& r) { read_file_item(r, out.layers[0].files.emplace_back()); });
  reader.each("layers", [&](FieldReader& r) { read_layer(r, out.layers.emplace_back()); });
  reader.text("user", out.user);
  reader.list("entrypoint", out.entrypoint);
  reader.list("command", out.command);
  reader.map("environment", out.environment);
  reader.list("ports", out.ports);
  reader.list("volumes", out.volumes);
  reader.text("working_directory", out.working_directory);
  reader.text("stop_signal", out.stop_signal);
  reader.map("labels", out.labels);
  reader.map("annotations", out.annotations);
  reader.one("health", [&](FieldReader& r) { read_health(r, out); });
  reader.list("tags", out.tags);
  reader.text("compression", out.compression);
}

// "8500/tcp", "53/udp" or "8500", as OCI's ExposedPorts has them.
bool is_port(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view protocol =
      slash == std::string_view::npos ? std::string_view("tcp") : text.substr(slash + 1);
  int64_t port = 0;
  return parse_number(text.substr(0, slash), port) && port > 0 && port <= 65535 && text[0] != '+' &&
         text[0] != '0' && (protocol == "tcp" || protocol == "udp" || protocol == "sctp");
}

void check_layers(FieldReader& reader, const Declaration& declaration) {
  std::set<std::string> names;
  for (const LayerSpec& layer : declaration.layers) {
    if (!names.insert(layer.name).second) {
      reader.fail(cat("two layers are named '", layer.name, "'"));
    }
    if (layer.name == "copy" || layer.name == "model") {
      reader.fail(cat("'", layer.name, "' is the name of a layer that --", layer.name, " makes"));
    }
    std::set<std::string> paths;
    for (const FileItem& item : layer.files) {
      if (!paths.insert(item.path).second) {
        reader.fail(
            cat("'", item.path, "' stands twice among the files of the layer ", layer.name));
      }
    }
  }
}

void check_settings(FieldReader& reader, const Declaration& declaration) {
  if (!declaration.repository.empty()) reader.check(check_repository(declaration.repository));
  std::set<std::string> ports;
  for (const std::string& port : declaration.ports) {
    if (!is_port(port)) {
      reader.fail(cat("port '", port,
                      "' is not a number from 1 to 65535, with /tcp, /udp or "
                      "/sctp"));
    }
    if (!ports.insert(port).second) reader.fail(cat("port '", port, "' stands twice"));
  }
  for (const std::string& path : declaration.volumes) {
    if (!path.starts_with('/')) reader.fail(cat("volume '", path, "' is not absolute"));
  }
  if (!declaration.working_directory.empty() && !declaration.working_directory.starts_with('/')) {
    reader.fail(cat("working_directory '", declaration.working_directory, "' is not absolute"));
  }
  for (const auto& [name, value] : declaration.environment) {
    if (name.empty() || name.find('=') != std::string::npos || has_control(name) ||
        value.find('\0') != std::string::npos) {
      reader.fail(
          cat("'", name, "' is no name of an environment variable, or its value has a NUL"));
    }
  }
  if (declaration.version.size() > kLongestVersion) return reader.fail("version is too long");
  for (const std::string& tag : declaration.tags) {
    if (tag.size() > kLongestVersion) return reader.fail("a tag is too long");
    reader.check(check_tag(expand_tag(tag, declaration.version)));
  }
  if (has_control(declaration.user) || declaration.user.find(' ') != std::string::npos) {
    reader.fail(cat("user '", declaration.user, "' is no name or number"));
  }
  if (!declaration.stop_signal.empty() && !is_signal(declaration.stop_signal)) {
    reader.fail(cat("stop_signal '", declaration.stop_signal,
                    "' is neither like SIGTERM nor a "
                    "number from 1 to 64"));
  }
  if (const auto& health = declaration.health; health.has_value()) {
    constexpr int64_t kDay = 86400;
    for (const int64_t seconds : {health->interval_s, health->timeout_s, health->start_period_s}) {
      if (seconds < 0 || seconds > kDay) reader.fail("health counts 0 to 86400 seconds");
    }
    if (health->retries < 0 || health->retries > 1000) reader.fail("health: 0 to 1000 retries");
    const std::string& kind = health->test.empty() ? std::string() : health->test[0];
    if (kind != "CMD" && kind != "CMD-SHELL" && kind != "NONE") {
      reader.fail("health's test begins with CMD, CMD-SHELL or NONE");
    }
  }
}

Status check_declaration(FieldReader& reader, Declaration& out) {
  if (out.name.empty()) reader.fail("the declaration needs a name");
  if (out.base.empty()) out.base = "debian:bookworm";
  const bool distribution = out.base.starts_with("debian:") || out.base.starts_with("ubuntu:");
  if (!distribution && !out.base.starts_with("oci:")) {
    reader.fail(cat("base '", out.base, "' is none of debian:CODENAME, ubuntu:CODENAME, oci:PATH"));
  }
  if (out.base.ends_with(':') || (distribution && out.base.find('/') != std::string::npos)) {
    reader.fail(cat("base '", out.base, "' names nothing"));
  }
  const std::pair<bool, std::string_view> of_packages[] = {{out.prune_libraries, "prune_libraries"},
                                                           {!out.icu_data.empty(), "icu_data"},
                                                           {out.byte_compile, "byte_compile"}};
  for (const auto& [given, key] : of_packages) {
    if (!given || distribution) continue;
    reader.fail(cat(key, " needs a base of packages: the files of an oci: base stay"));
  }
  if (out.platforms.empty()) out.platforms.push_back({"linux", "amd64", ""});
  for (size_t i = 1; i < out.platforms.size(); ++i) {
    if (std::find(out.platforms.begin(), out.platforms.begin() + static_cast<std::ptrdiff_t>(i),
                  out.platforms[i]) != out.platforms.begin() + static_cast<std::ptrdiff_t>(i)) {
      reader.fail(cat("platform ", out.platforms[i], " stands twice"));
    }
  }
  if (out.compression.empty()) out.compression = "gzip";
  if (out.compression != "gzip" && out.compression != "zstd") {
    reader.fail(cat("compression '", out.compression, "' is neither gzip nor zstd"));
  }
  check_layers(reader, out);
  check_settings(reader, out);
  return reader.finish();
}

}  // namespace

StatusOr<Platform> parse_platform(std::string_view text) {
  const auto parts = split(text, '/');
  if (parts.size() < 2 || parts.size() > 3 || parts[0] != "linux") {
    return invalid_argument("platform '", text, "' is not linux/ARCHITECTURE[/VARIANT]");
  }
  Platform platform{std::string(parts[0]), std::string(parts[1]),
                    std::string(parts.size() == 3 ? parts[2] : "")};
  TENON_RETURN_IF_ERROR(debian_architecture(platform).status());
  return platform;
}

std::string to_string(const Platform& platform) {
  return cat(platform.os, "/", platform.architecture, platform.variant.empty() ? "" : "/",
             platform.variant);
}

namespace {
struct Architecture {
  std::string_view oci, variant, debian, triplet;
  uint16_t elf_machine;
};
constexpr Architecture kArchitectures[] = {
    {"amd64", "", "amd64", "x86_64-linux-gnu", 62},
    {"arm64", "", "arm64", "aarch64-linux-gnu", 183},
    {"arm64", "v8", "arm64", "aarch64-linux-gnu", 183},
    {"arm", "v7", "armhf", "arm-linux-gnueabihf", 40},
};
}  // namespace

StatusOr<std::string> debian_architecture(const Platform& platform) {
  for (const Architecture& row : kArchitectures) {
    if (row.oci == platform.architecture && row.variant == platform.variant) {
      return std::string(row.debian);
    }
  }
  return unimplemented("platform '", platform,
                       "' is not one of linux/amd64, linux/arm64, linux/arm/v7");
}

std::string multiarch_triplet(uint16_t elf_machine) {
  for (const Architecture& row : kArchitectures) {
    if (row.elf_machine == elf_machine) return std::string(row.triplet);
  }
  return {};
}

uint16_t elf_machine(const Platform& platform) {
  for (const Architecture& row : kArchitectures) {
    if (row.oci == platform.architecture && row.variant == platform.variant) return row.elf_machine;
  }
  return 0;
}

std::string base_reference(const Declaration& declaration) {
  constexpr std::string_view kRegistry = "oci:docker://";
  return declaration.base.starts_with(kRegistry) ? declaration.base.substr(kRegistry.size())
                                                 : std::string();
}

std::string base_image_path(const Declaration& declaration, const std::string& store) {
  const std::string reference = base_reference(declaration);
  if (!reference.empty()) return cat(store, "/bases/", sha256_hex(reference));
  return join_path(declaration.folder, declaration.base.substr(std::string_view("oci:").size()));
}

StatusOr<Declaration> parse_declaration(std::string_view text, std::string_view what,
                                        const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(const YamlNode root, parse_yaml(text, what));
  Declaration declaration;
  FieldReader reader(root, std::string(what));
  read_top(reader, declaration);
  TENON_RETURN_IF_ERROR(check_declaration(reader, declaration));
  declaration.text = text;
  declaration.folder = folder;
  return declaration;
}

std::vector<std::string> shipped_declarations() {
  Strings names;
  for (const ShippedDeclaration& entry : kShippedDeclarations) names.emplace_back(entry.name);
  return names;
}

StatusOr<Declaration> load_declaration(const std::string& name_or_path) {
  for (const ShippedDeclaration& entry : kShippedDeclarations) {
    if (entry.name == name_or_path) {
      return parse_declaration(entry.text, cat("declaration ", entry.name), "");
    }
  }
  if (!path_exists(name_or_path)) {
    return not_found("'", name_or_path, "' is neither a file nor one of ",
                     join(shipped_declarations(), ", "));
  }
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(name_or_path, 4 << 20));
  const size_t slash = name_or_path.rfind('/');
  return parse_declaration(text, name_or_path,
                           slash == std::string::npos ? "." : name_or_path.substr(0, slash + 1));
}

}  // namespace tenon::image
