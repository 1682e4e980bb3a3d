// image.lock.json: every input of an image by digest.
#pragma once

#include "tenon/image/debian/archive.h"
#include "tenon/image/declaration.h"

namespace tenon::image {

struct LockedPackage {
  std::string name, version, architecture, sha256, source, source_version, filename, archive, layer;
  uint64_t size = 0;
};

struct LockedPlatform {
  Platform platform;
  std::vector<LockedPackage> packages;  // by layer, then name
};

struct LockedArchive {
  std::string uri, suite, release_sha256;
  int64_t date = 0;
};

struct Lock {
  int64_t created = 0;      // newest date of the archives: the default SOURCE_DATE_EPOCH
  std::string base_digest;  // of an oci: base's manifest or index; empty for debian:
  std::vector<LockedArchive> archives;
  std::vector<LockedPlatform> platforms;
  std::vector<std::pair<std::string, WheelItem>> wheels;  // layer name, wheel
  std::string declaration;                                // its text
};

std::string write_lock(const Lock& lock);
// INVALID_ARGUMENT names the field; nothing in the result needs to be checked again.
StatusOr<Lock> parse_lock(std::string_view json, std::string_view what);

// Where the program for "@tenon" stands: one path for all platforms, others for single ones.
struct ProgramPaths {
  std::string path;
  std::map<std::string, std::string> by_platform;  // "linux/arm64" to a path

  const std::string& of(const Platform& platform) const;
};

// FAILED_PRECONDITION when `program` is an ELF file of another architecture than the platform's.
Status check_program(const std::string& program, const Platform& platform);

// How a lock is made.
struct LockOptions {
  ArchiveOptions archive;
  std::string apt_root = "/";
  ProgramPaths programs;  // whose libraries `tenon_libraries` finds
};

// Makes sure that the store holds the wheels that the index is to give: what is missing is
// downloaded by `python3 -m pip`, hence from the index of pip's configuration (PIP_INDEX_URL,
// pip.conf, pip's default). DATA_LOSS when bytes have another digest; NOT_FOUND without pip.
Status fetch_index_wheels(const Store& store, const std::vector<WheelItem>& wheels);
// Everything that a lock names into the store.
Status fetch_locked(const Lock& lock, const std::string& declaration_folder, const Store& store);

// Pulls a base that stands in a registry into the store, where it is not there already or when
// `again`; nothing for other bases.
Status fetch_base(const Declaration& declaration, const Store& store, bool again);

// Resolves every layer of every platform, lower layers first, and fetches all packages and wheels
// into the store.
StatusOr<Lock> make_lock(const Declaration& declaration, const Store& store,
                         const LockOptions& options);

// One package that differs between two locks. An empty version: not there.
struct LockChange {
  std::string platform, name, old_version, new_version;
  std::vector<std::string> closed_cves;  // named by the new changelog above the old version
};

// Changes from `before` to `after`, sorted by platform and name. Changelogs are read from the
// packages that the store holds; those it does not hold close nothing.
StatusOr<std::vector<LockChange>> diff_locks(const Lock& before, const Lock& after,
                                             const Store& store);

// Everything a lock names as store items, without duplicates, sorted by digest.
std::vector<StoreItem> items_of_lock(const Lock& lock, const std::string& declaration_folder);

// Copies what `lock` names from `store` to a store at `folder`, for rebuilding elsewhere.
Status vendor_lock(const Lock& lock, const Store& store, const std::string& folder);

// The packages of this machine that own the shared libraries which `program` links, directly or
// through others, sorted. Reads the machine's dpkg database below `root`. NOT_FOUND names a library
// that no package owns.
StatusOr<std::vector<std::string>> library_packages(const std::string& program,
                                                    const std::string& root);

}  // namespace tenon::image
