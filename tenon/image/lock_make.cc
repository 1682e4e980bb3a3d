// Making and comparing locks.
#include <algorithm>
#include <set>

#include "tenon/image/build/installed.h"
#include "tenon/image/debian/deb.h"
#include "tenon/image/debian/version.h"
#include "tenon/image/lock.h"
#include "tenon/image/oci/reader.h"
#include "tenon/image/registry/registry.h"

namespace tenon::image {
namespace {

StatusOr<std::vector<ArchiveSource>> sources_of(const Declaration& declaration,
                                                const std::string& codename,
                                                const std::string& architecture,
                                                const LockOptions& options) {
  if (declaration.archives.empty()) {
    if (codename.empty()) {
      return failed_precondition(
          "the base image's os-release has no VERSION_CODENAME to choose this machine's apt "
          "sources "
          "by; give the declaration an 'archive:'");
    }
    auto sources = machine_sources(options.apt_root, codename);
    if (sources.ok() || !declaration.base.starts_with("ubuntu:")) return sources;
    return ubuntu_sources(options.apt_root, codename, architecture);
  }
  std::vector<ArchiveSource> sources;
  for (const ArchiveSpec& archive : declaration.archives) {
    std::string uri = archive.uri;
    while (uri.ends_with('/')) uri.pop_back();
    for (const std::string& suite : archive.suites) {
      sources.push_back(
          {uri, suite, archive.components, {join_path(declaration.folder, archive.keyring)}});
    }
  }
  return sources;
}

LockedPackage locked(const Package& package, const std::string& layer) {
  LockedPackage result;
  result.name = package.name;
  result.version = package.version;
  result.architecture = package.architecture;
  result.sha256 = package.sha256;
  result.size = package.size;
  result.source = package.source;
  result.source_version = package.source_version;
  result.filename = package.filename;
  result.archive = package.archive;
  result.layer = layer;
  return result;
}

// What an oci: base is for one platform.
struct BaseContent {
  std::vector<Package> packages;
  std::string digest;    // of the base, whatever the platform
  std::string codename;  // of its distribution
};

StatusOr<BaseContent> content_of_base(const Declaration& declaration, const Store& store,
                                      const Platform& platform) {
  BaseContent content;
  TENON_ASSIGN_OR_RETURN(const auto reader,
                         ImageReader::open(base_image_path(declaration, store.folder())));
  content.digest = cat("sha256:", sha256_hex(write_index(reader->index())));
  TENON_ASSIGN_OR_RETURN(const Image image, find_image(*reader, &platform));
  TENON_ASSIGN_OR_RETURN(
      const auto tree,
      read_file_system(*reader, image, [](const std::string& path, const TreeNode& node) {
        return is_package_metadata(path, node);
      }));
  TENON_ASSIGN_OR_RETURN(content.packages, installed_packages(*tree));
  TENON_ASSIGN_OR_RETURN(auto release, os_release(*tree));
  content.codename = release["VERSION_CODENAME"];
  return content;
}

Status lock_platform(const Declaration& declaration, const PackageIndex& index,
                     const std::vector<std::string>& libraries, std::vector<Package> present,
                     LockedPlatform& out) {
  ResolveRequest request;
  request.present = std::move(present);
  request.waived = declaration.waive;
  for (const LayerSpec& layer : declaration.layers) {
    request.packages = layer.packages;
    if (layer.name == "base") {
      request.packages.insert(request.packages.end(), libraries.begin(), libraries.end());
    }
    if (request.packages.empty()) continue;
    TENON_ASSIGN_OR_RETURN(const auto chosen, resolve(index, request));
    for (const Package* package : chosen) {
      out.packages.push_back(locked(*package, layer.name));
      request.present.push_back(*package);
    }
  }
  return {};
}

// Wheels are pinned by the declaration; the size is what arrives.
Status lock_wheels(const Declaration& declaration, const Store& store, Lock& lock) {
  std::vector<WheelItem> all;
  for (const LayerSpec& layer : declaration.layers) {
    all.insert(all.end(), layer.wheels.begin(), layer.wheels.end());
  }
  TENON_RETURN_IF_ERROR(fetch_index_wheels(store, all));
  for (const LayerSpec& layer : declaration.layers) {
    for (WheelItem wheel : layer.wheels) {
      const bool is_url = wheel.url.find("://") != std::string::npos;
      const std::string url =
          is_url ? wheel.url : cat("file://", join_path(declaration.folder, wheel.url));
      TENON_ASSIGN_OR_RETURN(wheel.size,
                             store.fetch_pinned(url, wheel.sha256, cat("wheel ", wheel.name)));
      lock.wheels.emplace_back(layer.name, std::move(wheel));
    }
  }
  return {};
}

using ByName = std::map<std::string, const LockedPackage*>;

ByName by_name(const Lock& lock, const Platform& platform) {
  ByName result;
  for (const LockedPlatform& entry : lock.platforms) {
    if (!(entry.platform == platform)) continue;
    for (const LockedPackage& package : entry.packages) result[package.name] = &package;
  }
  return result;
}

StatusOr<std::vector<std::string>> closed_cves(const LockedPackage& package,
                                               std::string_view old_source_version,
                                               const Store& store) {
  if (!store.has(package.sha256)) return std::vector<std::string>();
  TENON_ASSIGN_OR_RETURN(const std::string path, store.verified_path(package.sha256));
  TENON_ASSIGN_OR_RETURN(const auto deb, DebFile::open(path, package.name));
  TENON_ASSIGN_OR_RETURN(const std::string changelog, changelog_of(*deb, package.name));
  return cves_in_changelog(changelog, old_source_version);
}

}  // namespace

Status fetch_base(const Declaration& declaration, const Store& store, bool again) {
  const std::string reference = base_reference(declaration);
  if (reference.empty()) return {};
  const std::string path = base_image_path(declaration, store.folder());
  if (path_exists(path) && !again) return {};
  TENON_ASSIGN_OR_RETURN(const RegistryReference source, parse_reference(reference));
  return with_context(pull_image(source, path, {}).status(), cat("the base ", reference));
}

StatusOr<Lock> make_lock(const Declaration& declaration, const Store& store,
                         const LockOptions& options) {
  if (!base_reference(declaration).empty() && options.archive.offline &&
      !path_exists(base_image_path(declaration, store.folder()))) {
    return not_found("the store does not hold the base ", base_reference(declaration));
  }
  TENON_RETURN_IF_ERROR(fetch_base(declaration, store, !options.archive.offline));
  Lock lock;
  lock.declaration = declaration.text;
  const bool any_packages =
      declaration.tenon_libraries ||
      std::any_of(declaration.layers.begin(), declaration.layers.end(),
                  [](const LayerSpec& layer) { return !layer.packages.empty(); });
  for (const Platform& platform : declaration.platforms) {
    LockedPlatform& entry = lock.platforms.emplace_back();
    entry.platform = platform;
    BaseContent base;
    if (declaration.base.starts_with("oci:")) {
      TENON_ASSIGN_OR_RETURN(base, content_of_base(declaration, store, platform));
      lock.base_digest = base.digest;
      lock.created = std::max(lock.created, options.archive.now);
    } else {
      base.codename = declaration.base.substr(declaration.base.find(':') + 1);
    }
    if (!any_packages) continue;
    std::vector<std::string> libraries;
    if (declaration.tenon_libraries) {
      const std::string& program = options.programs.of(platform);
      TENON_RETURN_IF_ERROR(check_program(program, platform));
      TENON_ASSIGN_OR_RETURN(libraries, library_packages(program, options.apt_root));
    }
    TENON_ASSIGN_OR_RETURN(const std::string architecture, debian_architecture(platform));
    TENON_ASSIGN_OR_RETURN(const auto sources,
                           sources_of(declaration, base.codename, architecture, options));
    PackageIndex index(architecture);
    TENON_ASSIGN_OR_RETURN(const auto archives,
                           load_archives(sources, store, options.archive, index));
    index.seal();
    if (lock.archives.empty()) {
      lock.created = 0;
      for (const FetchedArchive& archive : archives) {
        lock.archives.push_back({archive.source.uri, archive.source.suite, archive.release_sha256,
                                 archive.release.date});
        lock.created = std::max(lock.created, archive.release.date);
      }
    }
    TENON_RETURN_IF_ERROR(
        with_context(lock_platform(declaration, index, libraries, std::move(base.packages), entry),
                     to_string(platform)));
  }
  TENON_RETURN_IF_ERROR(lock_wheels(declaration, store, lock));
  TENON_RETURN_IF_ERROR(fetch_locked(lock, declaration.folder, store));
  return lock;
}

StatusOr<std::vector<LockChange>> diff_locks(const Lock& before, const Lock& after,
                                             const Store& store) {
  std::vector<LockChange> changes;
  std::vector<Platform> platforms;
  for (const Lock* lock : {&before, &after}) {
    for (const LockedPlatform& entry : lock->platforms) {
      if (std::find(platforms.begin(), platforms.end(), entry.platform) == platforms.end()) {
        platforms.push_back(entry.platform);
      }
    }
  }
  for (const Platform& platform : platforms) {
    const ByName old_packages = by_name(before, platform), new_packages = by_name(after, platform);
    std::set<std::string> names;
    for (const auto& [name, package] : old_packages) names.insert(name);
    for (const auto& [name, package] : new_packages) names.insert(name);
    for (const std::string& name : names) {
      const auto was = old_packages.find(name), is = new_packages.find(name);
      LockChange change{to_string(platform), name, "", "", {}};
      if (was != old_packages.end()) change.old_version = was->second->version;
      if (is != new_packages.end()) change.new_version = is->second->version;
      if (change.old_version == change.new_version) continue;
      if (!change.old_version.empty() && !change.new_version.empty()) {
        TENON_ASSIGN_OR_RETURN(change.closed_cves,
                               closed_cves(*is->second, was->second->source_version, store));
      }
      changes.push_back(std::move(change));
    }
  }
  return changes;
}

}  // namespace tenon::image
