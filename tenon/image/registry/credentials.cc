#include "tenon/image/registry/credentials.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tenon/base/files.h"
#include "tenon/base/strings.h"
#include "tenon/image/archive/base64.h"
#include "tenon/image/net.h"
#include "tenon/image/trust/json.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

constexpr uint64_t kConfigLimit = 4 << 20;
constexpr size_t kHelperLimit = 1 << 20;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Names under which the registry's credentials may be kept, without a repository.
std::vector<std::string> host_keys(const std::string& host) {
  if (host != "docker.io") return {host};
  return {"https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"};
}

// "https://HOST/v1/" and the like as "HOST".
std::string key_as_host(std::string_view key) {
  const bool url = key.starts_with("https://") || key.starts_with("http://");
  if (!url) return std::string(key);
  key.remove_prefix(key.find("//") + 2);
  return std::string(key.substr(0, key.find('/')));
}

StatusOr<Credentials> from_entry(const Json& entry, std::string_view path) {
  Credentials found;
  found.user = json_text(entry, "username");
  found.password = json_text(entry, "password");
  found.identity_token = json_text(entry, "identitytoken");
  found.registry_token = json_text(entry, "registrytoken");
  if (const std::string auth = json_text(entry, "auth"); !auth.empty()) {
    const auto plain = from_base64(auth);
    const size_t colon = plain.ok() ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      return invalid_argument(path, ": an 'auth' is not base64 of USER:PASSWORD");
    }
    found.user = plain->substr(0, colon);
    found.password = plain->substr(colon + 1);
    // Docker pads some with zeros.
    while (found.password.ends_with('\0')) found.password.pop_back();
  }
  if (found.user == "<token>" && found.identity_token.empty()) {
    found.identity_token = found.password;
    found.user.clear();
    found.password.clear();
  }
  return found;
}

// Asks `docker-credential-NAME get`; nothing when it knows nothing of the server.
StatusOr<std::optional<Credentials>> ask_helper(const std::string& name, const std::string& server,
                                                std::string_view path) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (!plain) return invalid_argument(path, ": '", name, "' is no credential helper's name");
  const std::string program = cat("docker-credential-", name);
  const auto result = run_process({program, "get"}, kHelperLimit, server);
  if (!result.ok()) {
    return failed_precondition(path, " leaves the credentials of ", server, " to ", program, ": ",
                               message_of(result.status()));
  }
  if (result->exit_code != 0) {
    // The words that every helper uses for it.
    if (result->out.find("credentials not found") != std::string::npos) {
      return std::optional<Credentials>();
    }
    return failed_precondition(program, " ends with ", result->exit_code, " for ", server, ": ",
                               trim(result->out.substr(0, 200)));
  }
  const Json answer = Json::parse(result->out, nullptr, false);
  Credentials found;
  found.user = json_text(answer, "Username");
  found.password = json_text(answer, "Secret");
  if (found.user == "<token>") {
    found.identity_token = std::move(found.password);
    found.user.clear();
    found.password.clear();
  }
  if (found.empty()) {
    return failed_precondition(program, " answers without Username and Secret for ", server);
  }
  return std::optional<Credentials>(std::move(found));
}

// The entry of auths for the longest key that the repository lies under, by name or as a URL.
const Json* find_entry(const Json& auths, const RegistryReference& reference) {
  const std::vector<std::string> hosts = host_keys(reference.host);
  std::string scope = cat(reference.host, "/", reference.repository);
  while (true) {
    for (const auto& [key, entry] : auths.items()) {
      if (key == scope && entry.is_object()) return &entry;
    }
    const size_t slash = scope.rfind('/');
    if (slash == std::string::npos) break;
    scope.resize(slash);
  }
  for (const auto& [key, entry] : auths.items()) {
    const std::string host = to_lower(key_as_host(key));
    const bool named = std::find(hosts.begin(), hosts.end(), key) != hosts.end() ||
                       std::find(hosts.begin(), hosts.end(), host) != hosts.end();
    if (named && entry.is_object()) return &entry;
  }
  return nullptr;
}

}  // namespace

std::string Credentials::basic() const { return to_base64(cat(user, ":", password)); }

std::vector<std::string> credential_files(const std::string& file) {
  if (!file.empty()) return {file};
  if (const std::string named = environment("REGISTRY_AUTH_FILE"); !named.empty()) return {named};
  const std::string home = environment("HOME");
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  std::string config = environment("XDG_CONFIG_HOME"), docker = environment("DOCKER_CONFIG");
  if (config.empty() && !home.empty()) config = join_path(home, ".config");
  if (docker.empty() && !home.empty()) docker = join_path(home, ".docker");
  std::vector<std::string> files;
  if (!runtime.empty()) files.push_back(join_path(runtime, "containers/auth.json"));
  if (!config.empty()) files.push_back(join_path(config, "containers/auth.json"));
  if (!docker.empty()) files.push_back(join_path(docker, "config.json"));
  return files;
}

StatusOr<std::optional<Credentials>> credentials_in(std::string_view text, std::string_view path,
                                                    const RegistryReference& reference,
                                                    bool run_helpers) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return invalid_argument(path, " is not a JSON object");
  const Json& helpers = json_child(json, "credHelpers");
  for (const std::string& key : host_keys(reference.host)) {
    std::string helper = json_text(helpers, key.c_str());
    if (helper.empty()) helper = json_text(json, "credsStore");
    if (helper.empty() || !run_helpers) continue;
    TENON_ASSIGN_OR_RETURN(auto found, ask_helper(helper, key, path));
    if (found.has_value()) return found;
  }
  const Json& auths = json_child(json, "auths");
  if (!auths.is_object()) return std::optional<Credentials>();
  const Json* entry = find_entry(auths, reference);
  if (entry == nullptr) return std::optional<Credentials>();
  TENON_ASSIGN_OR_RETURN(Credentials found, from_entry(*entry, path));
  // Docker leaves an empty entry where a helper keeps the credentials.
  if (found.empty()) return std::optional<Credentials>();
  return std::optional<Credentials>(std::move(found));
}

StatusOr<Credentials> find_credentials(const RegistryReference& reference,
                                       const std::string& file) {
  for (const std::string& path : credential_files(file)) {
    if (!path_exists(path)) continue;
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kConfigLimit));
    TENON_ASSIGN_OR_RETURN(auto found, credentials_in(text, path, reference));
    if (found.has_value()) return *std::move(found);
  }
  return Credentials();
}

}  // namespace tenon::image
