// Wheels by their names in an index, fetched by pip.
#include <algorithm>
#include <set>

#include "tenon/image/lock.h"
#include "tenon/image/net.h"
#include "tenon/image/partial.h"

namespace tenon::image {
namespace {

bool only(std::string_view text, std::string_view further) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           further.find(c) != std::string_view::npos;
  });
}

// "NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl" (PyPA "Binary distribution format"), the last
// three each several joined by '.'.
struct WheelTags {
  std::set<std::string, std::less<>> python, abi, platform;
};

bool read_tags(std::string_view file, WheelTags& tags) {
  constexpr std::string_view kEnding = ".whl";
  if (!file.ends_with(kEnding)) return false;
  file.remove_suffix(kEnding.size());
  const auto parts = split(file, '-');
  if (parts.size() < 5 || parts.size() > 6) return false;
  const auto add = [](std::string_view joined, auto& out) {
    for (std::string_view tag : split(joined, '.')) out.emplace(tag);
  };
  add(parts[parts.size() - 3], tags.python);
  add(parts[parts.size() - 2], tags.abi);
  add(parts[parts.size() - 1], tags.platform);
  return true;
}

// "3.11" of the newest of "cp39", "cp311", "py3"; empty when none of them is of CPython.
std::string newest_python(const std::set<std::string, std::less<>>& tags) {
  int64_t newest = -1;
  for (const std::string& tag : tags) {
    int64_t minor = 0;
    if (!tag.starts_with("cp3") || !parse_number(tag.substr(3), minor)) continue;
    newest = std::max(newest, minor);
  }
  return newest < 0 ? std::string() : cat("3.", newest);
}

// The call that downloads wheels into `folder` as `requirements`, a file, names them. pip takes
// what fits the tags it is given, so that the machine's own Python and system do not matter.
std::vector<std::string> pip_call(const std::string& folder, const std::string& requirements,
                                  const WheelTags& tags) {
  std::vector<std::string> words = {"python3",
                                    "-m",
                                    "pip",
                                    "download",
                                    "--quiet",
                                    "--no-input",
                                    "--no-deps",
                                    "--dest",
                                    folder,
                                    "--only-binary",
                                    ":all:",
                                    "--require-hashes",
                                    "-r",
                                    requirements,
                                    "--implementation",
                                    "cp",
                                    "--disable-pip-version-check"};
  words.emplace_back("--ignore-requires-python");
  if (const std::string python = newest_python(tags.python); !python.empty()) {
    words.push_back(cat("--python-version=", python));
  }
  for (const std::string& abi : tags.abi) words.push_back(cat("--abi=", abi));
  for (const std::string& platform : tags.platform) words.push_back(cat("--platform=", platform));
  return words;
}

// What pip says last is what it could not do.
std::string last_line(std::string_view text) {
  std::string last;
  for (std::string_view line : split(text, '\n')) {
    if (!trim(line).empty()) last = trim(line);
  }
  return last;
}

}  // namespace

Status check_wheel(const WheelItem& wheel) {
  if (wheel.name.empty() || wheel.version.empty() || wheel.url.empty() == wheel.file.empty()) {
    return invalid_argument("a wheel needs name, version, sha256 and one of url and file");
  }
  if (!only(wheel.name, "._-") || !only(wheel.version, ".!+_-")) {
    return invalid_argument("'", wheel.name, "==", wheel.version, "' is no name and version");
  }
  WheelTags tags;
  if (!wheel.file.empty() && (!only(wheel.file, "._-!+") || !read_tags(wheel.file, tags))) {
    return invalid_argument("'", wheel.file,
                            "' is not called NAME-VERSION-PYTHON-ABI-PLATFORM.whl");
  }
  return {};
}

std::string normal_wheel_name(std::string_view name) {
  std::string normal;
  for (const char c : to_lower(name)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (!separator) {
      normal += c;
    } else if (!normal.ends_with('-')) {
      normal += '-';
    }
  }
  return normal;
}

Status fetch_index_wheels(const Store& store, const std::vector<WheelItem>& wheels) {
  std::string requirements;
  WheelTags tags;
  std::vector<WheelItem> missing;
  for (const WheelItem& wheel : wheels) {
    if (wheel.file.empty() || store.verified_path(wheel.sha256).ok()) continue;
    requirements += cat(wheel.name, "==", wheel.version, " --hash=sha256:", wheel.sha256, "\n");
    read_tags(wheel.file, tags);
    missing.push_back(wheel);
  }
  if (missing.empty()) return {};
  TENON_ASSIGN_OR_RETURN(const auto scratch, PartialFolder::create_temporary());
  const std::string list = join_path(scratch->path(), "requirements.txt");
  TENON_RETURN_IF_ERROR(write_file(list, requirements));
  TENON_ASSIGN_OR_RETURN(const ProcessResult pip,
                         run_process(pip_call(scratch->path(), list, tags)));
  if (pip.exit_code != 0) {
    const std::string why = last_line(pip.err);
    const bool differs = pip.err.find("DO NOT MATCH THE HASHES") != std::string::npos;
    return differs ? data_loss("pip: the index gives other bytes than the wheels' sha256: ", why)
                   : not_found("pip does not find ", missing.size(), " wheels: ", why);
  }
  for (const WheelItem& wheel : missing) {
    const std::string path = join_path(scratch->path(), wheel.file);
    if (!path_exists(path)) {
      return not_found("the index gives ", wheel.name, " ", wheel.version, " not as ", wheel.file);
    }
    TENON_RETURN_IF_ERROR(
        store.fetch_pinned(cat("file://", path), wheel.sha256, cat("wheel ", wheel.name)).status());
  }
  return {};
}

}  // namespace tenon::image
