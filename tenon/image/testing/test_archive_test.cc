#include "tenon/image/testing/test_archive.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/net.h"

namespace tenon::image {
namespace {

// One key for the process: making it takes a while.
StatusOr<std::string> signing_home() {
  static const StatusOr<TemporaryDirectory> home = []() -> StatusOr<TemporaryDirectory> {
    TENON_ASSIGN_OR_RETURN(TemporaryDirectory folder, TemporaryDirectory::create());
    ::chmod(folder.path().c_str(), 0700);
    TENON_RETURN_IF_ERROR(
        run_tool({"gpg", "--homedir", folder.path(), "--batch", "--passphrase", "",
                  "--quick-generate-key", "test@example.org", "ed25519", "sign", "never"})
            .status());
    return folder;
  }();
  if (!home.ok()) return home.status();
  return home->path();
}

std::string id_of(const TestPackage& package) {
  return cat(package.name, "_", package.version, "_", package.architecture);
}

std::string control_of(const TestPackage& package) {
  return cat("Package: ", package.name, "\nVersion: ", package.version,
             "\nArchitecture: ", package.architecture, "\nMaintainer: Test <test@example.org>\n",
             package.fields);
}

}  // namespace

StatusOr<std::string> run_tool(const std::vector<std::string>& arguments) {
  TENON_ASSIGN_OR_RETURN(const ProcessResult result, run_process(arguments));
  if (result.exit_code != 0) {
    return internal(join(arguments, " "), " exits with ", result.exit_code, ": ", result.err);
  }
  return result.out;
}

StatusOr<TestArchive> TestArchive::create() {
  TENON_ASSIGN_OR_RETURN(TemporaryDirectory folder, TemporaryDirectory::create());
  TENON_ASSIGN_OR_RETURN(const std::string home, signing_home());
  TestArchive archive(std::move(folder));
  TENON_RETURN_IF_ERROR(create_directories(join_path(archive.folder(), "pool")));
  TENON_RETURN_IF_ERROR(
      run_tool({"gpg", "--homedir", home, "--batch", "--output", archive.keyring(), "--export"})
          .status());
  return archive;
}

Status TestArchive::add(const TestPackage& package) {
  const std::string id = id_of(package);
  const std::string tree = join_path(folder(), cat("build-", id));
  for (const auto& [path, content] : package.files) {
    const std::string place = join_path(tree, path);
    TENON_RETURN_IF_ERROR(create_directories(place.substr(0, place.rfind('/'))));
    if (content.starts_with("-> ")) {
      if (::symlink(content.c_str() + 3, place.c_str()) != 0) return internal("symlink ", place);
    } else {
      TENON_RETURN_IF_ERROR(write_file(place, content));
      ::chmod(place.c_str(), path.find("bin/") != std::string::npos ? 0755 : 0644);
    }
  }
  const std::string control = control_of(package);
  TENON_RETURN_IF_ERROR(create_directories(join_path(tree, "DEBIAN")));
  TENON_RETURN_IF_ERROR(
      write_file(join_path(tree, "DEBIAN/control"), control + "Description: test\n"));
  // As debhelper writes it: scanners and `explain` learn from it whose file is whose.
  TENON_RETURN_IF_ERROR(
      run_tool({"sh", "-c",
                "cd \"$0\" && find . -type f ! -path './DEBIAN/*' -printf '%P\\n' "
                "| sort | xargs -r md5sum > DEBIAN/md5sums",
                tree})
          .status());
  const std::string deb = join_path(folder(), cat("pool/", id, ".deb"));
  TENON_RETURN_IF_ERROR(
      run_tool({"dpkg-deb", "--root-owner-group", "--build", tree, deb}).status());
  return list(id, control);
}

Status TestArchive::add_with_data(const TestPackage& package, const std::string& data_tar) {
  const std::string id = id_of(package), control = control_of(package);
  const std::string tree = join_path(folder(), cat("build-", id));
  const std::string deb = join_path(folder(), cat("pool/", id, ".deb"));
  TENON_RETURN_IF_ERROR(create_directories(tree));
  TENON_RETURN_IF_ERROR(write_file(join_path(tree, "control"), control + "Description: test\n"));
  TENON_RETURN_IF_ERROR(write_file(join_path(tree, "debian-binary"), "2.0\n"));
  TENON_RETURN_IF_ERROR(
      run_tool({"tar", "-C", tree, "-cf", join_path(tree, "control.tar"), "./control"}).status());
  TENON_RETURN_IF_ERROR(run_tool({"cp", data_tar, join_path(tree, "data.tar")}).status());
  (void)::unlink(deb.c_str());
  TENON_RETURN_IF_ERROR(run_tool({"ar", "rc", deb, join_path(tree, "debian-binary"),
                                  join_path(tree, "control.tar"), join_path(tree, "data.tar")})
                            .status());
  return list(id, control);
}

Status TestArchive::list(const std::string& id, const std::string& control) {
  TENON_ASSIGN_OR_RETURN(const std::string bytes,
                         read_file(join_path(folder(), cat("pool/", id, ".deb"))));
  index_ += cat(control, "Filename: pool/", id, ".deb\nSize: ", bytes.size(),
                "\nSHA256: ", sha256_hex(bytes), "\n\n");
  return {};
}

Status TestArchive::publish(std::string_view valid_until) {
  const std::string suite = join_path(folder(), "dists/test");
  std::string sums;
  for (const char* architecture : {"amd64", "arm64", "armhf"}) {
    const std::string path = cat("main/binary-", architecture, "/Packages");
    const std::string place = join_path(suite, path);
    TENON_RETURN_IF_ERROR(create_directories(place.substr(0, place.rfind('/'))));
    TENON_RETURN_IF_ERROR(write_file(place, index_));
    TENON_RETURN_IF_ERROR(run_tool({"xz", "--force", place}).status());
    TENON_ASSIGN_OR_RETURN(const std::string packed, read_file(place + ".xz"));
    const std::string by_hash =
        cat(place.substr(0, place.rfind('/')), "/by-hash/SHA256/", sha256_hex(packed));
    TENON_RETURN_IF_ERROR(create_directories(by_hash.substr(0, by_hash.rfind('/'))));
    TENON_RETURN_IF_ERROR(write_file(by_hash, packed));
    sums += cat(" ", sha256_hex(packed), " ", packed.size(), " ", path, ".xz\n");
  }
  TENON_RETURN_IF_ERROR(
      write_file(join_path(suite, "Release"),
                 cat("Origin: Test\nSuite: test\nCodename: test\nDate: Sat, 11 Jul 2026 09:30:15 "
                     "UTC\nValid-Until: ",
                     valid_until, "\nAcquire-By-Hash: yes\nSHA256:\n", sums)));
  TENON_ASSIGN_OR_RETURN(const std::string home, signing_home());
  return run_tool({"gpg", "--homedir", home, "--batch", "--yes", "--clearsign", "--output",
                   join_path(suite, "InRelease"), join_path(suite, "Release")})
      .status();
}

std::string TestArchive::declaration_lines() const {
  return cat("archive:\n  - {uri: \"", uri(),
             "\", suites: [test], components: [main], keyring: ", keyring(), "}\n");
}

}  // namespace tenon::image
