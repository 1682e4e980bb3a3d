// apt's sources lists (sources.list(5)), the part that names binary packages.
#include <algorithm>

#include "tenon/image/debian/archive.h"

namespace tenon::image {
namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  size_t at = 0;
  while (true) {
    at = text.find_first_not_of(" \t\n", at);
    if (at == std::string_view::npos) return words;
    const size_t end = std::min(text.find_first_of(" \t\n", at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
}

std::string without_slash(std::string uri) {
  while (uri.ends_with('/')) uri.pop_back();
  return uri;
}

class SourcesReader {
 public:
  SourcesReader(std::string root, std::string_view codename)
      : root_(std::move(root)), codename_(codename) {}

  Status read_lines(const std::string& path) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, 1 << 20));
    for (std::string_view line : split(text, '\n')) {
      line = trim(line.substr(0, line.find('#')));
      if (!line.starts_with("deb ") && !line.starts_with("deb\t")) continue;
      line = trim(line.substr(4));
      std::string options;
      if (line.starts_with('[')) {
        const size_t close = line.find(']');
        if (close == std::string_view::npos) continue;
        options = line.substr(1, close - 1);
        line = line.substr(close + 1);
      }
      const auto words = words_of(line);
      if (words.size() < 3) continue;
      std::string signed_by;
      for (const std::string& option : words_of(options)) {
        if (option.starts_with("signed-by=")) signed_by = option.substr(10);
      }
      TENON_RETURN_IF_ERROR(
          add(words[0], words[1], {words.begin() + 2, words.end()}, signed_by, path));
    }
    return {};
  }

  Status read_stanzas(const std::string& path) {
    TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(path));
    FileSource source(*file);
    return for_each_stanza(source, path, [&](const Stanza& stanza) -> Status {
      const auto types = words_of(stanza.get("Types"));
      if (stanza.get("Enabled") == "no") return {};
      if (std::find(types.begin(), types.end(), "deb") == types.end()) return {};
      for (const std::string& uri : words_of(stanza.get("URIs"))) {
        for (const std::string& suite : words_of(stanza.get("Suites"))) {
          TENON_RETURN_IF_ERROR(add(uri, suite, words_of(stanza.get("Components")),
                                    std::string(stanza.get("Signed-By")), path));
        }
      }
      return {};
    });
  }

  std::vector<ArchiveSource> take() { return std::move(sources_); }

 private:
  Status add(const std::string& uri, const std::string& suite, std::vector<std::string> components,
             const std::string& signed_by, const std::string& path) {
    if (suite != codename_ && !suite.starts_with(cat(codename_, "-"))) return {};
    if (signed_by.find("BEGIN PGP") != std::string::npos) {
      return unimplemented(path, ": a key written into Signed-By; name a keyring file instead");
    }
    ArchiveSource source{without_slash(uri), suite, std::move(components), {}};
    for (const std::string& keyring : words_of(signed_by)) {
      source.keyrings.push_back(cat(root_ == "/" ? "" : root_, keyring));
    }
    if (source.keyrings.empty()) {
      const std::string folder = join_path(root_, "etc/apt/trusted.gpg.d");
      if (is_directory(folder)) {
        TENON_ASSIGN_OR_RETURN(const auto names, list_directory(folder));
        for (const std::string& name : names) {
          if (name.ends_with(".gpg") || name.ends_with(".asc")) {
            source.keyrings.push_back(join_path(folder, name));
          }
        }
      }
    }
    if (source.keyrings.empty()) {
      return failed_precondition(path, ": ", uri, " ", suite,
                                 " has no Signed-By and no keyring is installed");
    }
    const bool known = std::any_of(sources_.begin(), sources_.end(), [&](const auto& other) {
      return other.uri == source.uri && other.suite == source.suite;
    });
    if (!known) sources_.push_back(std::move(source));
    return {};
  }

  std::string root_;
  std::string codename_;
  std::vector<ArchiveSource> sources_;
};

}  // namespace

StatusOr<std::vector<ArchiveSource>> machine_sources(const std::string& root,
                                                     std::string_view codename) {
  SourcesReader reader(root, codename);
  const std::string main = join_path(root, "etc/apt/sources.list");
  if (path_exists(main)) TENON_RETURN_IF_ERROR(reader.read_lines(main));
  const std::string folder = join_path(root, "etc/apt/sources.list.d");
  if (is_directory(folder)) {
    TENON_ASSIGN_OR_RETURN(const auto names, list_directory(folder));
    for (const std::string& name : names) {
      const std::string path = join_path(folder, name);
      if (name.ends_with(".list")) TENON_RETURN_IF_ERROR(reader.read_lines(path));
      if (name.ends_with(".sources")) TENON_RETURN_IF_ERROR(reader.read_stanzas(path));
    }
  }
  std::vector<ArchiveSource> sources = reader.take();
  if (sources.empty()) {
    return not_found("apt's sources below ", root, " name no archive for '", codename,
                     "'; add one, or give the declaration an 'archive:'");
  }
  return sources;
}

StatusOr<std::vector<ArchiveSource>> ubuntu_sources(const std::string& root,
                                                    std::string_view codename,
                                                    std::string_view architecture) {
  const std::string keyring = join_path(root, "usr/share/keyrings/ubuntu-archive-keyring.gpg");
  if (!path_exists(keyring)) {
    return not_found("apt's sources below ", root, " name no archive for '", codename, "', and ",
                     keyring, " is not there to verify Ubuntu's; install the package ",
                     "ubuntu-keyring, or give the declaration an 'archive:'");
  }
  // Architectures other than amd64 have an archive of their own.
  const bool main_archive = architecture == "amd64";
  const std::string uri =
      main_archive ? "http://archive.ubuntu.com/ubuntu" : "http://ports.ubuntu.com/ubuntu-ports";
  const std::string security = main_archive ? "http://security.ubuntu.com/ubuntu" : uri;
  const std::vector<std::string> components = {"main", "universe"};
  return std::vector<ArchiveSource>{{uri, std::string(codename), components, {keyring}},
                                    {uri, cat(codename, "-updates"), components, {keyring}},
                                    {security, cat(codename, "-security"), components, {keyring}}};
}

}  // namespace tenon::image
