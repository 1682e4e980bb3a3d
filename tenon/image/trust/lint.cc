#include "tenon/image/trust/lint.h"

#include <algorithm>
#include <array>

namespace tenon::image {
namespace {

constexpr uint64_t kKeyFileLimit = 64 << 10;
constexpr std::array<std::string_view, 7> kShells = {"sh",  "bash", "dash",   "ash",
                                                     "zsh", "ksh",  "busybox"};
constexpr std::array<std::string_view, 6> kSecretNames = {"PASSWORD", "PASSWD",      "SECRET",
                                                          "TOKEN",    "PRIVATE_KEY", "API_KEY"};

bool is_shell(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || !path.substr(0, slash).ends_with("bin")) return false;
  return std::find(kShells.begin(), kShells.end(), path.substr(slash + 1)) != kShells.end();
}

// Names under which keys and credentials are kept.
bool may_hold_secret(const std::string& path, const TreeNode& node) {
  if (node.type != EntryType::kFile || node.size > kKeyFileLimit) return false;
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  return name.ends_with(".key") || name.ends_with(".pem") || name.starts_with("id_rsa") ||
         name.starts_with("id_ed25519") || name.starts_with("id_ecdsa") || name == ".netrc" ||
         name == "credentials" || name == ".pgpass" || name == ".git-credentials" ||
         name == "config.json";
}

bool holds_secret(const std::string& path, std::string_view text) {
  if (text.find("PRIVATE KEY-----") != std::string_view::npos) return true;
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  if (name == ".netrc") return text.find("password") != std::string_view::npos;
  if (name == ".pgpass" || name == ".git-credentials") return !trim(text).empty();
  if (name == "config.json") return text.find("\"auth\"") != std::string_view::npos;
  return name == "credentials" && text.find("secret") != std::string_view::npos;
}

void lint_config(const Image& image, std::vector<LintFinding>& findings) {
  const std::string user = image.config.user.substr(0, image.config.user.find(':'));
  int64_t uid = 0;
  if (user.empty() || user == "root" || (parse_number(user, uid) && uid == 0)) {
    findings.push_back({"user", cat("the image runs as root: its user is '", image.config.user,
                                    "'; set one like 65532:65532")});
  } else if (!parse_number(user, uid)) {
    findings.push_back(
        {"user", cat("user '", user, "' is a name; runAsNonRoot can only check a number")});
  }
  for (const auto& variable : image.config.environment) {
    const std::string& name = variable.first;
    const bool suspicious =
        std::any_of(kSecretNames.begin(), kSecretNames.end(),
                    [&](std::string_view word) { return name.find(word) != std::string::npos; });
    if (suspicious && !variable.second.empty()) {
      findings.push_back({"secret", cat("the environment variable ", name,
                                        " holds a value that everyone with the image can read")});
    }
  }
  if (!image.manifest.annotations.contains("dev.tenon.image.lock")) {
    findings.push_back({"unpinned", "no annotation names the lock file that pins its packages"});
  }
}

// The image reference of a deployment line, or empty.
std::string_view reference_of(std::string_view line) {
  line = trim(line.substr(0, line.find(" #")));
  if (line.starts_with("- ")) line = trim(line.substr(2));
  if (line.starts_with("image:")) {
    line = trim(line.substr(6));
    if (line.size() >= 2 && (line[0] == '"' || line[0] == '\'')) {
      line = line.substr(1, line.size() - 2);
    }
    return line;
  }
  if (!line.starts_with("FROM ")) return {};
  line = trim(line.substr(5));
  while (line.starts_with("--")) line = trim(line.substr(std::min(line.find(' '), line.size())));
  return line.substr(0, line.find(' '));
}

}  // namespace

StatusOr<std::vector<LintFinding>> lint_image(const ImageReader& reader, const Image& image,
                                              bool no_shell) {
  std::vector<LintFinding> findings;
  lint_config(image, findings);
  TENON_ASSIGN_OR_RETURN(
      const auto tree,
      read_file_system(reader, image, [](const std::string& path, const TreeNode& node) {
        return may_hold_secret(path, node);
      }));
  TENON_RETURN_IF_ERROR(
      tree->for_each([&](const std::string& path, const TreeNode& node) -> Status {
        if (node.type == EntryType::kFile && (node.mode & 06000) != 0) {
          findings.push_back({"setuid", cat("/", path, " is setuid or setgid")});
        }
        const bool sticky_folder = node.type == EntryType::kDirectory && (node.mode & 01000) != 0;
        if (node.type != EntryType::kSymlink && (node.mode & 0002) != 0 && !sticky_folder) {
          findings.push_back({"writable", cat("/", path, " can be written by everyone")});
        }
        if (no_shell && is_shell(path))
          findings.push_back({"shell", cat("/", path, " is a shell")});
        if (may_hold_secret(path, node)) {
          TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kKeyFileLimit));
          if (holds_secret(path, text)) {
            findings.push_back({"secret", cat("/", path, " holds a private key or credentials")});
          }
        }
        return {};
      }));
  return findings;
}

std::vector<LintFinding> lint_deployment(std::string_view text, std::string_view what) {
  std::vector<LintFinding> findings;
  int number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    const std::string_view reference = reference_of(line);
    if (reference.empty() || reference == "scratch" || reference.find('$') == 0) continue;
    if (reference.find("@sha256:") != std::string_view::npos) continue;
    const size_t slash = reference.rfind('/');
    const std::string_view last =
        slash == std::string_view::npos ? reference : reference.substr(slash + 1);
    const size_t colon = last.find(':');
    const std::string_view tag =
        colon == std::string_view::npos ? std::string_view() : last.substr(colon + 1);
    if (tag.empty() || tag.starts_with("latest")) {
      findings.push_back({"latest", cat(what, " line ", number, ": image '", reference, "' ",
                                        tag.empty() ? "has no tag, which means latest"
                                                    : "moves with every release",
                                        "; name a version or a digest")});
    }
  }
  return findings;
}

}  // namespace tenon::image
