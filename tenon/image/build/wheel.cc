// Wheels (PyPA "Binary distribution format"): a zip whose paths are relative to site-packages, with
// a "NAME.data" folder for everything that belongs elsewhere.
#include <algorithm>
#include <memory>

#include "tenon/image/archive/zip.h"
#include "tenon/image/build/layers.h"

namespace tenon::image {
namespace {

constexpr std::string_view kSitePackages = "usr/lib/python3/dist-packages";
constexpr uint64_t kScriptLimit = 1 << 20;

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

// usr/bin scripts for the [console_scripts] of entry_points.txt.
Status add_entry_points(std::string_view text, const std::string& origin, Tree& tree) {
  bool console = false;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.starts_with('[')) console = line == "[console_scripts]";
    const size_t equals = line.find('=');
    if (!console || line.starts_with('[') || equals == std::string_view::npos) continue;
    const std::string_view name = trim(line.substr(0, equals));
    std::string_view target = trim(line.substr(equals + 1));
    target = trim(target.substr(0, target.find('[')));
    const size_t colon = target.find(':');
    if (colon == std::string_view::npos || name.find('/') != std::string_view::npos) continue;
    const std::string_view module = target.substr(0, colon), function = target.substr(colon + 1);
    TreeNode node;
    node.mode = 0755;
    node.origin = origin;
    node.text = cat("#!/usr/bin/python3\nimport sys\nfrom ", module, " import ",
                    function.substr(0, function.find('.')), "\nif __name__ == '__main__':\n    ",
                    "sys.exit(", function, "())\n");
    node.size = node.text.size();
    TENON_RETURN_IF_ERROR(tree.add(cat("usr/bin/", name), std::move(node)));
  }
  return {};
}

}  // namespace

Status add_wheel(const WheelItem& wheel, const Store& store, Tree& tree) {
  const std::string origin = cat("wheel ", wheel.name, " ", wheel.version);
  auto path = store.verified_path(wheel.sha256);
  if (!path.ok()) return with_context(path.status(), origin);
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(*path));
  TENON_ASSIGN_OR_RETURN(auto fresh, SpoolFile::create());
  const std::shared_ptr<SpoolFile> spool = std::move(fresh);
  std::string entry_points;
  TENON_RETURN_IF_ERROR(
      for_each_zip_entry(*file, origin, [&](const ZipEntry& entry, ByteSource& source) -> Status {
        bool is_script = false;
        const std::string target = wheel_target(entry.path, is_script);
        if (entry.directory || target.empty()) return {};
        TreeNode node;
        node.origin = origin;
        node.mode = is_script ? 0755 : entry.mode;
        if (is_script || entry.path.ends_with(".dist-info/entry_points.txt")) {
          TENON_ASSIGN_OR_RETURN(node.text, read_all(source, kScriptLimit, origin));
          if (is_script) fix_interpreter(node.text);
          if (!is_script) entry_points = node.text;
          node.size = node.text.size();
        } else {
          node.spool = spool;
          node.offset = spool->size();
          TENON_ASSIGN_OR_RETURN(node.size, copy_stream(source, *spool));
        }
        return tree.add(target, std::move(node));
      }));
  return add_entry_points(entry_points, origin, tree);
}

}  // namespace tenon::image
