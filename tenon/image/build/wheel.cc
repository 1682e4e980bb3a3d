// A wheel is a zip whose paths are relative to site-packages, with a "NAME.data" folder for
// everything that belongs elsewhere.
#include "tenon/image/build/wheel.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "tenon/image/archive/base64.h"
#include "tenon/image/archive/sha256.h"
#include "tenon/image/archive/zip.h"

namespace tenon::image {
namespace {

constexpr std::string_view kSitePackages = "usr/lib/python3/dist-packages";
constexpr uint64_t kScriptLimit = 1 << 20;
constexpr uint64_t kRecordLimit = 64 << 20;

// Where a path of a wheel goes; empty for what is not installed.
std::string wheel_target(const std::string& path, bool& is_script) {
  is_script = false;
  const size_t slash = path.find('/');
  const std::string_view top = std::string_view(path).substr(0, slash);
  if (!top.ends_with(".data") || slash == std::string::npos) return cat(kSitePackages, "/", path);
  const std::string_view rest = std::string_view(path).substr(slash + 1);
  const size_t next = rest.find('/');
  if (next == std::string_view::npos) return {};
  const std::string_view scheme = rest.substr(0, next), inside = rest.substr(next + 1);
  if (scheme == "purelib" || scheme == "platlib") return cat(kSitePackages, "/", inside);
  if (scheme == "headers") return cat("usr/include/python3/", inside);
  if (scheme == "data") return cat("usr/", inside);
  if (scheme == "scripts") {
    is_script = true;
    return cat("usr/bin/", inside);
  }
  return {};
}

// "#!python" of a wheel's script becomes the interpreter's path.
void fix_interpreter(std::string& script) {
  if (!script.starts_with("#!python")) return;
  script.replace(0, std::string_view("#!python").size(), "#!/usr/bin/python3");
}

// Calls `add` with name and "module:function" of each program of entry_points.txt.
void for_each_entry_point(std::string_view text,
                          FunctionRef<void(std::string_view, std::string_view)> add) {
  bool programs = false;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.starts_with('[')) programs = line == "[console_scripts]" || line == "[gui_scripts]";
    const size_t equals = line.find('=');
    if (!programs || line.starts_with('[') || equals == std::string_view::npos) continue;
    const std::string_view target = line.substr(equals + 1);
    add(trim(line.substr(0, equals)), trim(target.substr(0, target.find('['))));
  }
}

// PEP 376's name of a content's digest: "sha256=" and base64 of RFC 4648, section 5, unpadded.
std::string record_digest(std::string_view content) {
  Sha256 hash;
  hash.update(content);
  std::string text = to_base64(hash.digest());
  while (text.ends_with('=')) text.pop_back();
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return cat("sha256=", text);
}

// The path and the rest, "DIGEST,SIZE", of a line of RECORD, which is CSV.
std::pair<std::string, std::string> split_record(std::string_view line) {
  const size_t size = line.rfind(',');
  const size_t digest = size == std::string_view::npos || size == 0 ? std::string_view::npos
                                                                    : line.rfind(',', size - 1);
  if (digest == std::string_view::npos) return {};
  std::string_view quoted = line.substr(0, digest);
  std::string path(quoted);
  if (quoted.size() > 1 && quoted.starts_with('"') && quoted.ends_with('"')) {
    quoted = quoted.substr(1, quoted.size() - 2);
    path.clear();
    for (size_t i = 0; i < quoted.size(); ++i) {
      if (quoted[i] == '"') ++i;
      if (i < quoted.size()) path += quoted[i];
    }
  }
  return {path, std::string(line.substr(digest + 1))};
}

// Installs one wheel's members and writes what was installed where.
class WheelInstaller {
 public:
  WheelInstaller(const std::string& origin, std::shared_ptr<SpoolFile> spool, Tree& tree)
      : origin_(origin), spool_(std::move(spool)), tree_(tree) {}

  Status add_member(const ZipEntry& entry, ByteSource& source, const std::string& target,
                    bool is_script) {
    TreeNode node;
    node.origin = origin_;
    node.mode = is_script ? 0755 : entry.mode;
    const size_t slash = entry.path.find('/');
    const std::string_view name =
        slash == std::string::npos ? "" : std::string_view(entry.path).substr(slash + 1);
    const bool of_metadata =
        slash != std::string::npos && entry.path.substr(0, slash).ends_with(".dist-info");
    if (of_metadata && name == "RECORD") {
      record_path_ = target;
      TENON_ASSIGN_OR_RETURN(const std::string text, read_all(source, kRecordLimit, origin_));
      for (std::string_view line : split(text, '\n')) known_.insert(split_record(trim(line)));
      return {};
    }
    // Signatures of the RECORD that the wheel came with.
    if (of_metadata && (name == "RECORD.jws" || name == "RECORD.p7s")) return {};
    if (is_script || (of_metadata && name == "entry_points.txt")) {
      TENON_ASSIGN_OR_RETURN(std::string text, read_all(source, kScriptLimit, origin_));
      if (!is_script) entry_points_ = text;
      if (is_script) fix_interpreter(text);
      return add_text(target, std::move(text), node.mode);
    }
    node.spool = spool_;
    node.offset = spool_->size();
    TENON_ASSIGN_OR_RETURN(node.size, copy_stream(source, *spool_));
    installed_[target] = entry.path;
    return tree_.add(target, std::move(node));
  }

  Status add_entry_points() {
    Status status;
    for_each_entry_point(entry_points_, [&](std::string_view name, std::string_view target) {
      const size_t colon = target.find(':');
      if (colon == std::string_view::npos || name.find('/') != std::string_view::npos) return;
      const std::string_view function = target.substr(colon + 1);
      std::string text = cat("#!/usr/bin/python3\nimport sys\nfrom ", target.substr(0, colon),
                             " import ", function.substr(0, function.find('.')),
                             "\nif __name__ == '__main__':\n    ", "sys.exit(", function, "())\n");
      if (status.ok()) status = add_text(cat("usr/bin/", name), std::move(text), 0755);
    });
    return status;
  }

  // RECORD and INSTALLER, by which pip lists, checks and removes the package; none without a
  // RECORD.
  Status finish() {
    if (record_path_.empty()) return {};
    const std::string folder = record_path_.substr(0, record_path_.rfind('/') + 1);
    TENON_RETURN_IF_ERROR(add_text(cat(folder, "INSTALLER"), "tenon\n", 0644));
    std::map<std::string, std::string> lines;
    for (const auto& [target, member] : installed_) lines[relative(target)] = known_[member];
    for (const auto& [target, facts] : written_) lines[relative(target)] = facts;
    std::string text;
    for (const auto& [path, facts] : lines) {
      const bool plain = path.find_first_of(",\"\n") == std::string::npos;
      text += plain ? path : quoted(path);
      text += cat(",", facts.empty() ? "," : facts, "\n");
    }
    text += cat(relative(record_path_), ",,\n");
    TreeNode node;
    node.origin = origin_;
    node.size = text.size();
    node.text = std::move(text);
    return tree_.add(record_path_, std::move(node));
  }

 private:
  Status add_text(const std::string& target, std::string text, uint32_t mode) {
    written_[target] = cat(record_digest(text), ",", text.size());
    TreeNode node;
    node.mode = mode;
    node.origin = origin_;
    node.size = text.size();
    node.text = std::move(text);
    return tree_.add(target, std::move(node));
  }
  // A path as RECORD has it, from site-packages.
  static std::string relative(const std::string& target) {
    const std::string inside = cat(kSitePackages, "/");
    if (target.starts_with(inside)) return target.substr(inside.size());
    return cat("../../../", target.substr(std::string_view("usr/").size()));
  }
  static std::string quoted(const std::string& path) {
    std::string out = "\"";
    for (const char c : path) out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
  }

  const std::string& origin_;
  std::shared_ptr<SpoolFile> spool_;
  Tree& tree_;
  std::string entry_points_, record_path_;
  std::map<std::string, std::string> known_;      // the wheel's RECORD: member, digest and size
  std::map<std::string, std::string> installed_;  // target, member
  std::map<std::string, std::string> written_;    // target, digest and size
};

}  // namespace

Status add_wheel(const WheelItem& wheel, const Store& store,
                 const std::vector<std::string>& exclude, Tree& tree) {
  const std::string origin = cat("wheel ", wheel.name, " ", wheel.version);
  auto path = store.verified_path(wheel.sha256);
  if (!path.ok()) return with_context(path.status(), origin);
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(*path));
  TENON_ASSIGN_OR_RETURN(auto spool, SpoolFile::create());
  WheelInstaller installer(origin, std::move(spool), tree);
  TENON_RETURN_IF_ERROR(
      for_each_zip_entry(*file, origin, [&](const ZipEntry& entry, ByteSource& source) -> Status {
        bool is_script = false;
        const std::string target = wheel_target(entry.path, is_script);
        if (entry.directory || target.empty() || excluded(exclude, target)) return {};
        return installer.add_member(entry, source, target, is_script);
      }));
  TENON_RETURN_IF_ERROR(installer.add_entry_points());
  return installer.finish();
}

StatusOr<std::map<std::string, std::string>> wheel_owners(const Tree& tree) {
  constexpr std::string_view kRecord = ".dist-info/RECORD";
  std::map<std::string, std::string> owners;
  TENON_RETURN_IF_ERROR(tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
    if (node.type != EntryType::kFile || !path.ends_with(kRecord)) return {};
    const std::string folder = path.substr(0, path.size() - kRecord.size());
    const size_t slash = folder.rfind('/');
    if (slash == std::string::npos) return {};
    std::string owner = cat("wheel ", folder.substr(slash + 1));
    std::replace(owner.begin(), owner.end(), '-', ' ');
    TENON_ASSIGN_OR_RETURN(const std::string text, read_text(node, kRecordLimit));
    for (std::string_view line : split(text, '\n')) {
      const std::string file = split_record(trim(line)).first;
      if (file.empty()) continue;
      const auto place = std::filesystem::path(folder.substr(0, slash)) / file;
      owners.emplace(place.lexically_normal().string(), owner);
    }
    return {};
  }));
  return owners;
}

}  // namespace tenon::image
