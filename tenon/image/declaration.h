// What an image shall hold: image.yaml. The format is described in docs/image.md.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::image {

// GOOS/GOARCH[/variant], as OCI spells it.
struct Platform {
  std::string os, architecture, variant;
  bool operator==(const Platform&) const = default;
};
StatusOr<Platform> parse_platform(std::string_view text);
std::string to_string(const Platform& platform);
// Debian's name of its architecture: amd64, arm64, armhf. UNIMPLEMENTED for others.
StatusOr<std::string> debian_architecture(const Platform& platform);
// The e_machine of its ELF programs, 0 for others than the above.
uint16_t elf_machine(const Platform& platform);
// Debian's multiarch folder of an e_machine: "x86_64-linux-gnu"; empty for others.
std::string multiarch_triplet(uint16_t elf_machine);

// One entry of a `files:` list. Exactly one of source, link, content and directory is given.
struct FileItem {
  std::string path;    // absolute in the image
  std::string source;  // host file or folder, relative to the declaration; "@tenon": the program
  std::string link;
  std::optional<std::string> content;
  bool directory = false;
  bool strip = false;            // of an ELF source only what its segments load
  std::optional<uint32_t> mode;  // default 0644, 0755 for folders and executable sources
  uint32_t uid = 0, gid = 0;
};

// Exactly one of url and file is given.
struct WheelItem {
  std::string name, version, sha256;
  std::string url;    // or a path relative to the declaration
  std::string file;   // its name in the index that pip uses
  uint64_t size = 0;  // known once locked
};

// INVALID_ARGUMENT for a wheel without name, version and place, or with a name, version or file
// that pip would read otherwise.
Status check_wheel(const WheelItem& wheel);
// As indexes compare names: in lower case, runs of '-', '_' and '.' as one '-' (PEP 503).
std::string normal_wheel_name(std::string_view name);

struct LayerSpec {
  std::string name;
  std::vector<std::string> packages;
  std::vector<WheelItem> wheels;
  std::vector<FileItem> files;
};

struct HealthCheck {
  std::vector<std::string> test;  // "CMD", program, arguments
  int64_t interval_s = 30, timeout_s = 3, start_period_s = 5, retries = 3;
};

struct ArchiveSpec {
  std::string uri;
  std::vector<std::string> suites, components;
  std::string keyring;
};

struct Declaration {
  std::string name;                   // runtime, train, devel, or the user's
  std::string version;                // of what the image holds; shipped ones take Tenon's
  std::string repository;             // of its tags; empty: "tenon"
  std::string base;                   // "debian:CODENAME", "ubuntu:CODENAME" or "oci:FOLDER-OR-TAR"
  std::vector<ArchiveSpec> archives;  // empty: the machine's own apt sources
  std::vector<Platform> platforms;
  std::vector<std::string> waive;    // package names that the image does without
  std::vector<std::string> exclude;  // path patterns of packages and wheels left out; "!" keeps
  bool tenon_libraries = false;      // add the packages of the libraries that the program links
  bool prune_libraries = false;      // leave out libraries of packages that nothing can load,
  std::vector<std::string> loaded_libraries;  // but not these, by soname
  std::vector<std::string> icu_data;  // patterns of the items of ICU's data that stay; empty: all
  bool byte_compile = false;          // of Python files by the image's own interpreter
  std::vector<LayerSpec> layers;      // the first is "base"
  std::string user;
  std::vector<std::string> entrypoint, command, ports, volumes, tags;
  std::map<std::string, std::string> environment, labels, annotations;
  std::string working_directory, stop_signal, compression;  // compression: gzip or zstd
  std::optional<HealthCheck> health;

  std::string text;    // as read
  std::string folder;  // of the file, for relative sources; empty for shipped ones
};

// What "oci:docker://HOST/REPOSITORY:TAG" names in a registry; empty for other bases.
std::string base_reference(const Declaration& declaration);
// The path behind an "oci:" base; of one in a registry the copy that the store at `store` keeps.
std::string base_image_path(const Declaration& declaration, const std::string& store);

// Unknown keys are errors that give the line and the keys that are known.
StatusOr<Declaration> parse_declaration(std::string_view text, std::string_view what,
                                        const std::string& folder);

// Names of the declarations inside the program, sorted.
std::vector<std::string> shipped_declarations();

// A shipped declaration by name, or a file by path.
StatusOr<Declaration> load_declaration(const std::string& name_or_path);

}  // namespace tenon::image
