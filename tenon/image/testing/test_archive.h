// A small signed Debian archive in a folder, made with dpkg-deb and gpg, for tests without network.
#pragma once

#include <map>

#include "tenon/image/debian/archive.h"

namespace tenon::image {

struct TestPackage {
  std::string name, version = "1.0", architecture = "amd64";
  std::string fields;                        // further control lines, each ending in '\n'
  std::map<std::string, std::string> files;  // path to content; a value "-> target" is a link
};

// The folder holds pool/, dists/test/ and keyring.gpg, and etc/apt/ that names it.
class TestArchive {
 public:
  static StatusOr<TestArchive> create();
  Status add(const TestPackage& package);
  // The same with the file `data_tar`, whatever it holds, in the place of a tar of `package.files`.
  Status add_with_data(const TestPackage& package, const std::string& data_tar);
  // Writes Packages.xz of each architecture and a signed InRelease, valid until `valid_until`.
  Status publish(std::string_view valid_until = "Sat, 01 Jan 2050 00:00:00 UTC");

  const std::string& folder() const { return folder_.path(); }
  std::string uri() const { return cat("file://", folder()); }
  std::string keyring() const { return join_path(folder(), "keyring.gpg"); }
  // "archive:" lines for a declaration.
  std::string declaration_lines() const;
  ArchiveSource source() const { return {uri(), "test", {"main"}, {keyring()}}; }

 private:
  explicit TestArchive(TemporaryDirectory folder) : folder_(std::move(folder)) {}
  Status list(const std::string& id, const std::string& control);

  TemporaryDirectory folder_;
  std::string index_;  // stanzas of all packages
};

// Runs a program that must succeed; returns its output.
StatusOr<std::string> run_tool(const std::vector<std::string>& arguments);

}  // namespace tenon::image
