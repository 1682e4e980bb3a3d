// A .deb file: an ar archive of control.tar and data.tar, untrusted.
#pragma once

#include <map>

#include "tenon/base/function_ref.h"
#include "tenon/image/archive/tar.h"
#include "tenon/image/debian/packages.h"

namespace tenon::image {

class DebFile {
 public:
  // Reads the ar table and the control member. `what` names the package in errors.
  static StatusOr<std::unique_ptr<DebFile>> open(const std::string& path, std::string what);

  // Files of control.tar by name: "control", "md5sums", "conffiles", ...; maintainer scripts too.
  const std::map<std::string, std::string>& control_files() const { return control_files_; }
  // The stanza of "control".
  const Stanza& control() const { return control_; }

  // Calls `visit` with each entry of data.tar, in order; it reads the content through the reader.
  Status for_each_entry(FunctionRef<Status(const TarEntry&, TarReader&)> visit,
                        TarLimits limits = {}) const;

 private:
  DebFile() = default;
  Status read_table();
  Status read_control();

  std::unique_ptr<RandomAccessFile> file_;
  std::string what_;
  struct Member {
    uint64_t offset = 0, size = 0;
  };
  Member control_member_, data_member_;
  std::map<std::string, std::string> control_files_;
  Stanza control_;
};

// The newest stanzas of a Debian changelog down to, not including, `after` (a version; empty: all
// of them), and the CVE names in them, sorted.
std::vector<std::string> cves_in_changelog(std::string_view changelog, std::string_view after);

// Each CVE that the stanzas above `after` name, with the version of the oldest such stanza: where
// it was fixed.
std::map<std::string, std::string> fixes_in_changelog(std::string_view changelog,
                                                      std::string_view after);

// usr/share/doc/<package>/changelog.Debian.gz of a package, uncompressed; empty when it has none or
// only a link into another package.
StatusOr<std::string> changelog_of(const DebFile& deb, std::string_view package);

}  // namespace tenon::image
