#include "tenon/image/debian/packages.h"

#include <algorithm>
#include <array>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/debian/version.h"

namespace tenon::image {
namespace {

int priority_rank(std::string_view priority) {
  constexpr std::array<std::string_view, 4> kOrder = {"required", "important", "standard",
                                                      "optional"};
  return static_cast<int>(std::find(kOrder.begin(), kOrder.end(), priority) - kOrder.begin());
}

// Letters, digits and "+-." (Debian Policy 5.6.1), so that a name is safe as a file name.
bool is_package_name(std::string_view name) {
  return !name.empty() && name[0] != '.' && name[0] != '-' && name.size() <= 200 &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '-' || c == '.';
         });
}

}  // namespace

StatusOr<Package> package_of_stanza(const Stanza& stanza) {
  Package package;
  package.name = stanza.get("Package");
  package.version = stanza.get("Version");
  package.architecture = stanza.get("Architecture");
  if (!is_package_name(package.name)) {
    return invalid_argument("'", package.name, "' is not a package name");
  }
  if (!is_package_name(package.architecture)) {
    return invalid_argument("package ", package.name, " has no valid Architecture");
  }
  TENON_RETURN_IF_ERROR(with_context(check_debian_version(package.version), package.name));
  std::string_view source = stanza.get("Source");
  package.source_version = package.version;
  if (const size_t open = source.find('('); open != std::string_view::npos) {
    package.source_version = trim(source.substr(open + 1, source.find(')') - open - 1));
    source = trim(source.substr(0, open));
  }
  package.source = source.empty() ? package.name : std::string(source);
  package.filename = stanza.get("Filename");
  package.sha256 = stanza.get("SHA256");
  int64_t size = 0;
  if (parse_number(stanza.get("Size"), size) && size > 0) {
    package.size = static_cast<uint64_t>(size);
  }
  package.depends = stanza.get("Depends");
  package.pre_depends = stanza.get("Pre-Depends");
  package.provides = stanza.get("Provides");
  package.conflicts = stanza.get("Conflicts");
  package.breaks = stanza.get("Breaks");
  package.replaces = stanza.get("Replaces");
  package.priority = stanza.get("Priority");
  package.multi_arch = stanza.get("Multi-Arch");
  package.essential = stanza.get("Essential") == "yes";
  return package;
}

Status PackageIndex::add(ByteSource& packages, const std::string& archive, std::string_view what) {
  return for_each_stanza(packages, what, [&](const Stanza& stanza) -> Status {
    StatusOr<Package> package = package_of_stanza(stanza);
    if (!package.ok()) return with_context(package.status(), what);
    if (package->architecture != architecture_ && package->architecture != "all") return {};
    if (!is_sha256_hex(package->sha256) || package->size == 0 || package->filename.empty() ||
        package->filename.find("..") != std::string::npos || package->filename.starts_with('/')) {
      return data_loss(what, ": package ", package->name,
                       " has no usable Filename, Size and SHA256");
    }
    package->archive = archive;
    packages_.push_back(*std::move(package));
    return {};
  });
}

void PackageIndex::seal() {
  by_name_.clear();
  providers_.clear();
  for (const Package& package : packages_) by_name_[package.name].push_back(&package);
  for (auto& [name, versions] : by_name_) {
    std::stable_sort(versions.begin(), versions.end(), [](const Package* a, const Package* b) {
      return compare_debian_versions(a->version, b->version) > 0;
    });
    versions.erase(
        std::unique(versions.begin(), versions.end(),
                    [](const Package* a, const Package* b) { return a->version == b->version; }),
        versions.end());
    // Only the newest version's Provides count, as for apt's candidate.
    const auto provided = parse_dependencies(versions[0]->provides, architecture_);
    if (!provided.ok()) continue;
    for (const DependencyGroup& group : *provided) {
      providers_[group[0].name].push_back({versions[0], group[0].version});
    }
  }
  for (auto& [name, providers] : providers_) {
    std::sort(providers.begin(), providers.end(), [](const Provider& a, const Provider& b) {
      const int left = priority_rank(a.package->priority);
      const int right = priority_rank(b.package->priority);
      return left != right ? left < right : a.package->name < b.package->name;
    });
  }
}

std::vector<const Package*> PackageIndex::versions(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? std::vector<const Package*>() : found->second;
}

const std::vector<PackageIndex::Provider>& PackageIndex::providers(std::string_view name) const {
  static const std::vector<Provider> none;
  const auto found = providers_.find(name);
  return found == providers_.end() ? none : found->second;
}

}  // namespace tenon::image
