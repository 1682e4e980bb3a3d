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
constexpr std::array<std::string_view, 16> kSecretFiles = {
    ".netrc",    ".pgpass",      ".git-credentials", ".npmrc",           ".pypirc", ".s3cfg",
    ".boto",     ".dockercfg",   "config.json",      "credentials",      "config",  "kubeconfig",
    ".htpasswd", "secrets.yaml", "secrets.yml",      "terraform.tfstate"};
constexpr std::array<std::string_view, 11> kTextEndings = {".json", ".yaml",       ".yml",   ".ini",
                                                           ".toml", ".cfg",        ".conf",  ".sh",
                                                           ".py",   ".properties", ".tfvars"};

std::string_view name_of_path(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_env_file(std::string_view name) {
  return name == ".env" || name.starts_with(".env.") || name.ends_with(".env");
}

bool may_hold_secret(const std::string& path, const TreeNode& node) {
  if (node.type != EntryType::kFile || node.size > kKeyFileLimit) return false;
  const std::string_view name = name_of_path(path);
  const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
  return name.ends_with(".key") || name.ends_with(".pem") || name.starts_with("id_rsa") ||
         name.starts_with("id_ed25519") || name.starts_with("id_ecdsa") || is_env_file(name) ||
         std::find(kSecretFiles.begin(), kSecretFiles.end(), name) != kSecretFiles.end() ||
         std::any_of(kTextEndings.begin(), kTextEndings.end(), ends);
}

// A prefix that a provider gives its keys, and how many characters follow it.
struct KeyForm {
  std::string_view prefix;
  size_t least;
  bool upper;  // upper-case letters and digits alone
};
constexpr KeyForm kKeyForms[] = {
    {"AKIA", 16, true},  {"ASIA", 16, true},     {"AIza", 35, false},        {"ghp_", 36, false},
    {"gho_", 36, false}, {"xoxb-", 20, false},   {"github_pat_", 40, false}, {"glpat-", 20, false},
    {"hf_", 34, false},  {"sk_live_", 20, false}};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

bool holds_cloud_key(std::string_view text) {
  for (const KeyForm& form : kKeyForms) {
    for (size_t at = text.find(form.prefix); at != std::string_view::npos;
         at = text.find(form.prefix, at + 1)) {
      if (at > 0 && is_word(text[at - 1])) continue;
      size_t end = at + form.prefix.size();
      while (end < text.size() && is_word(text[end]) &&
             !(form.upper && (text[end] >= 'a' && text[end] <= 'z'))) {
        ++end;
      }
      const size_t length = end - at - form.prefix.size();
      if (form.upper ? length == form.least : length >= form.least) return true;
    }
  }
  return (text.find("\"service_account\"") != std::string_view::npos &&
          text.find("private_key") != std::string_view::npos);
}

// Whether a line sets a variable: NAME=VALUE.
bool sets_variable(std::string_view text) {
  const auto lines = split(text, '\n');
  return std::any_of(lines.begin(), lines.end(), [](std::string_view line) {
    line = trim(line);
    const size_t equals = line.find('=');
    return !line.starts_with('#') && equals != std::string_view::npos && equals > 0 &&
           equals + 1 < line.size();
  });
}

bool holds_secret(const std::string& path, std::string_view text) {
  if (text.find("PRIVATE KEY-----") != std::string_view::npos) return true;
  const std::string_view name = name_of_path(path);
  if (is_env_file(name) && sets_variable(text)) return true;
  if (name == ".netrc") return text.find("password") != std::string_view::npos;
  if (name == ".pgpass" || name == ".git-credentials" || name == ".htpasswd") {
    return !trim(text).empty();
  }
  if (name == ".npmrc" && text.find("_auth") != std::string_view::npos) return true;
  if (name == ".pypirc" && text.find("password") != std::string_view::npos) return true;
  if ((name == "config" || name == "kubeconfig") &&
      text.find("client-key-data:") != std::string_view::npos) {
    return true;
  }
  if ((name == "config.json" || name == ".dockercfg") &&
      text.find("\"auth\"") != std::string_view::npos) {
    return true;
  }
  const bool settings = name == "credentials" || name == "config" || name.ends_with(".ini") ||
                        name.ends_with(".cfg") || name == ".boto" || name == ".s3cfg";
  if (settings && (text.find("AccountKey=") != std::string_view::npos ||
                   text.find("secret_access_key") != std::string_view::npos ||
                   text.find("secret_key") != std::string_view::npos)) {
    return true;
  }
  return (name == "credentials" && text.find("secret") != std::string_view::npos) ||
         holds_cloud_key(text);
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
    if ((suspicious && !variable.second.empty()) || holds_cloud_key(variable.second)) {
      findings.push_back({"secret", cat("the environment variable ", name,
                                        " holds a value that everyone with the image can read")});
    }
  }
  if (!image.manifest.annotations.contains("dev.tenon.image.lock")) {
    findings.push_back({"unpinned", "no annotation names the lock file that pins its packages"});
  }
}

}  // namespace

bool breaks_rule(const LintFinding& finding) { return finding.rule != "unjudged"; }

StatusOr<std::vector<LintFinding>> lint_image(const ImageReader& reader, const Image& image,
                                              bool no_shell) {
  std::vector<LintFinding> findings;
  NvidiaContract nvidia;
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
        if (node.type != EntryType::kDirectory) nvidia.see(path);
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
  nvidia.judge(image.config.environment, findings);
  return findings;
}

}  // namespace tenon::image
