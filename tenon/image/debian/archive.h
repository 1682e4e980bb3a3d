// A Debian archive: where it is, its signed metadata, its package index.
#pragma once

#include <functional>

#include "tenon/image/debian/packages.h"
#include "tenon/image/store.h"

namespace tenon::image {

// One line of an apt sources list.
struct ArchiveSource {
  std::string uri;  // http, https or file, without a trailing '/'
  std::string suite;
  std::vector<std::string> components;
  std::vector<std::string> keyrings;  // files; never empty
};

// The enabled binary sources of the machine below `root` ("/" or a test's folder), one-line and
// deb822 files, whose suite is `codename` or `codename`-something. Sources without Signed-By use
// every keyring of /etc/apt/trusted.gpg.d. NOT_FOUND when none is left.
StatusOr<std::vector<ArchiveSource>> machine_sources(const std::string& root,
                                                     std::string_view codename);

// Ubuntu's archives for `codename` and a Debian architecture, for a machine whose own sources name
// none: release, updates and security, components main and universe, verified by the keyring of the
// package ubuntu-keyring below `root`. NOT_FOUND when that is not installed.
StatusOr<std::vector<ArchiveSource>> ubuntu_sources(const std::string& root,
                                                    std::string_view codename,
                                                    std::string_view architecture);

// What a verified InRelease says.
struct Release {
  std::string origin, suite, codename;
  int64_t date = 0;         // seconds since 1970
  int64_t valid_until = 0;  // 0: no limit given
  struct File {
    std::string sha256;
    uint64_t size = 0;
  };
  std::map<std::string, File> files;  // by path below dists/SUITE
  bool by_hash = false;               // "Acquire-By-Hash": indexes stand under their digests too
};

// Verifies the clear-signed file with gpgv and parses what the signature covers, nothing else.
// FAILED_PRECONDITION when no key of `keyrings` signed it or it is older than its Valid-Until at
// `now` (unless `allow_expired`).
StatusOr<Release> verify_release(const std::string& inrelease_path,
                                 const std::vector<std::string>& keyrings, int64_t now,
                                 bool allow_expired);

// "Sat, 11 Jul 2026 09:30:15 UTC" as seconds since 1970.
StatusOr<int64_t> parse_archive_date(std::string_view text);

struct FetchedArchive {
  ArchiveSource source;
  Release release;
  std::string release_sha256;  // of the InRelease file
};

struct ArchiveOptions {
  int64_t now = 0;  // seconds since 1970
  bool allow_expired = false;
  bool offline = false;  // use the metadata that the store holds
};

// Fetches and verifies each source's InRelease and adds its Packages to `index`; Packages files
// come from the store when it has their digest. The index is not sealed.
StatusOr<std::vector<FetchedArchive>> load_archives(const std::vector<ArchiveSource>& sources,
                                                    const Store& store,
                                                    const ArchiveOptions& options,
                                                    PackageIndex& index);

}  // namespace tenon::image
