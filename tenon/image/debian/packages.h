// The packages that archives offer, and the deterministic choice among them.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "tenon/image/debian/control.h"

namespace tenon::image {

// One binary package as its archive's index describes it.
struct Package {
  std::string name, version, architecture;
  std::string source, source_version;
  std::string filename;  // below the archive's URI
  std::string sha256;
  uint64_t size = 0;
  std::string archive;  // URI
  std::string depends, pre_depends, provides, conflicts, breaks, replaces, priority, multi_arch;
  bool essential = false;
};

// Fields of a Packages stanza; INVALID_ARGUMENT when name, version or architecture is missing or
// malformed. `archive` is left empty.
StatusOr<Package> package_of_stanza(const Stanza& stanza);

// All packages of the archives for one architecture. Build it, then seal() it, then ask.
// Thread-safe once sealed.
class PackageIndex {
 public:
  explicit PackageIndex(std::string architecture) : architecture_(std::move(architecture)) {}

  // Reads a Packages file, uncompressed.
  Status add(ByteSource& packages, const std::string& archive, std::string_view what);
  void add(Package package) { packages_.push_back(std::move(package)); }
  void seal();

  const std::string& architecture() const { return architecture_; }
  size_t size() const { return packages_.size(); }

  // Versions of `name`, newest first; of equal versions the one added first stays.
  std::vector<const Package*> versions(std::string_view name) const;

  struct Provider {
    const Package* package;
    std::string version;  // of the provided name; empty when the field gives none
  };
  // Packages that provide `name`: required before important ... before extra, then by name.
  const std::vector<Provider>& providers(std::string_view name) const;

 private:
  std::string architecture_;
  std::vector<Package> packages_;
  std::unordered_map<std::string_view, std::vector<const Package*>> by_name_;
  std::map<std::string, std::vector<Provider>, std::less<>> providers_;
};

struct ResolveRequest {
  // "name" or "name=version".
  std::vector<std::string> packages;
  // Names whose dependants are told that they are there: the image does without them.
  std::vector<std::string> waived;
  // Already in a base image or a lower layer: kept, never chosen again.
  std::vector<Package> present;
};

// The packages to add so that every Depends and Pre-Depends of what is asked for holds, sorted by
// name. Recommends are not followed. The newest version that satisfies is taken, alternatives in
// order, then providers in PackageIndex's order; a choice that leads into a Conflicts or Breaks is
// given up for the next. The answer depends on the index and the request alone.
// NOT_FOUND names what is missing and who asked for it, FAILED_PRECONDITION the conflict.
StatusOr<std::vector<const Package*>> resolve(const PackageIndex& index,
                                              const ResolveRequest& request);

}  // namespace tenon::image
