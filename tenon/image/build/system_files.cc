// What maintainer scripts would have made, for a base of Debian packages.
#include "tenon/image/build/layers.h"
#include "tenon/image/build/ld_cache.h"

namespace tenon::image {
namespace {

constexpr uint64_t kCertificateLimit = 1 << 20;

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
    "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
constexpr std::string_view kGroup =
    "root:x:0:\n"
    "tty:x:5:\n"
    "staff:x:50:\n"
    "nogroup:x:65534:\n"
    "nonroot:x:65532:\n";
constexpr std::string_view kNsswitch =
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
    "protocols: files\nservices: files\nethers: files\nrpc: files\n";

}  // namespace

Status add_ca_bundle(Tree& tree) {
  std::string bundle;
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    if (node.type != EntryType::kFile || !path.starts_with("usr/share/ca-certificates/") ||
        !path.ends_with(".crt")) {
      return {};
    }
    TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kCertificateLimit));
    bundle += text;
    if (!bundle.ends_with('\n')) bundle += '\n';
    return {};
  }));
  if (bundle.empty()) return {};
  TENON_RETURN_IF_ERROR(tree.add_text("etc/ssl/certs/ca-certificates.crt", std::move(bundle)));
  // OpenSSL's compiled-in default file.
  return tree.add_link("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt");
}

Status add_loader_cache(Tree& tree) {
  TENON_ASSIGN_OR_RETURN(auto libraries, find_libraries(tree));
  if (libraries.empty()) return {};
  return tree.add_text("etc/ld.so.cache", write_ld_cache(std::move(libraries)));
}

Status add_system_files(const Declaration& declaration, std::string_view debian_architecture,
                        Tree& tree) {
  if (tree.find("etc/passwd") == nullptr) {
    TENON_RETURN_IF_ERROR(tree.add_text("etc/passwd", std::string(kPasswd)));
  }
  if (tree.find("etc/group") == nullptr) {
    TENON_RETURN_IF_ERROR(tree.add_text("etc/group", std::string(kGroup)));
  }
  if (tree.find("etc/nsswitch.conf") == nullptr) {
    TENON_RETURN_IF_ERROR(tree.add_text("etc/nsswitch.conf", std::string(kNsswitch)));
  }
  TENON_RETURN_IF_ERROR(tree.add_folder("tmp", 01777));
  TENON_RETURN_IF_ERROR(tree.add_folder("var/tmp", 01777));
  TENON_RETURN_IF_ERROR(tree.add_folder("root", 0700));
  TENON_RETURN_IF_ERROR(tree.add_folder("home/nonroot", 0700, 65532, 65532));
  for (const char* folder : {"proc", "sys", "dev", "run", "etc", "var/log", "var/lib/dpkg"}) {
    if (tree.find(folder) == nullptr) TENON_RETURN_IF_ERROR(tree.add_folder(folder));
  }
  TENON_RETURN_IF_ERROR(add_ca_bundle(tree));
  if (tree.find("etc/ld.so.conf") == nullptr) {
    TENON_RETURN_IF_ERROR(tree.add_text("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n"));
  }
  TENON_RETURN_IF_ERROR(add_loader_cache(tree));
  if (tree.find("usr/share/zoneinfo/Etc/UTC") != nullptr && tree.find("etc/localtime") == nullptr) {
    TENON_RETURN_IF_ERROR(tree.add_link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC"));
    TENON_RETURN_IF_ERROR(tree.add_text("etc/timezone", "Etc/UTC\n"));
  }
  const bool has_base_files = tree.find("var/lib/dpkg/status.d/base-files") != nullptr;
  if (has_base_files && tree.find(tree.resolve("etc/os-release")) == nullptr) {
    return failed_precondition("declaration ", declaration.name, " (", debian_architecture,
                               "): base-files came without etc/os-release, which scanners need");
  }
  return {};
}

}  // namespace tenon::image
