#include "tenon/image/build/packages_tree.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "tenon/image/debian/deb.h"

namespace tenon::image {
namespace {

struct UnpackedEntry {
  TarEntry entry;
  uint64_t offset = 0;
};

struct UnpackedPackage {
  std::vector<UnpackedEntry> entries;
  std::shared_ptr<SpoolFile> spool;
  std::string control, md5sums, replaces;
};

// dpkg's architecture-qualified check of what the lock promised.
Status check_control(const Stanza& control, const LockedPackage& package) {
  const auto same = [&](const char* field, const std::string& expected) -> Status {
    if (control.get(field) == expected) return {};
    return data_loss("package ", package.name, ": its control file says ", field, " '",
                     control.get(field), "', the lock '", expected, "'");
  };
  TENON_RETURN_IF_ERROR(same("Package", package.name));
  TENON_RETURN_IF_ERROR(same("Version", package.version));
  return same("Architecture", package.architecture);
}

StatusOr<UnpackedPackage> unpack(const LockedPackage& package, const Store& store,
                                 const UnpackOptions& options, std::shared_ptr<SpoolFile> spool) {
  const std::string what = cat("package ", package.name, " ", package.version);
  auto path = store.verified_path(package.sha256);
  if (!path.ok()) return with_context(path.status(), what);
  TENON_ASSIGN_OR_RETURN(const auto deb, DebFile::open(*path, what));
  TENON_RETURN_IF_ERROR(check_control(deb->control(), package));
  UnpackedPackage result;
  result.spool = spool;
  result.control = deb->control_files().at("control");
  result.replaces = deb->control().get("Replaces");
  if (const auto sums = deb->control_files().find("md5sums"); sums != deb->control_files().end()) {
    result.md5sums = sums->second;
  }
  std::string window(256 << 10, '\0');
  TENON_RETURN_IF_ERROR(deb->for_each_entry(
      [&](const TarEntry& entry, TarReader& reader) -> Status {
        if (entry.path.empty() || excluded(options.exclude, entry.path)) return {};
        if (entry.type == EntryType::kCharacterDevice || entry.type == EntryType::kBlockDevice ||
            entry.type == EntryType::kFifo) {
          return invalid_argument(what, ": '", entry.path, "' is a device or fifo");
        }
        result.entries.push_back({entry, spool->size()});
        while (true) {
          TENON_ASSIGN_OR_RETURN(const size_t got, reader.read(window));
          if (got == 0) return {};
          TENON_RETURN_IF_ERROR(spool->write(std::string_view(window.data(), got)));
        }
      },
      options.limits));
  return result;
}

// All packages, on `threads` threads with one spool each.
StatusOr<std::vector<UnpackedPackage>> unpack_all(const std::vector<LockedPackage>& packages,
                                                  const Store& store,
                                                  const UnpackOptions& options) {
  std::vector<UnpackedPackage> results(packages.size());
  std::vector<Status> statuses(packages.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    auto spool = SpoolFile::create();
    std::shared_ptr<SpoolFile> shared;
    if (spool.ok()) shared = *std::move(spool);
    for (size_t i = next++; i < packages.size(); i = next++) {
      if (shared == nullptr) {
        statuses[i] = spool.status();
        return;
      }
      auto result = unpack(packages[i], store, options, shared);
      statuses[i] = result.status();
      if (result.ok()) results[i] = *std::move(result);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < options.threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : statuses) TENON_RETURN_IF_ERROR(status);
  return results;
}

TreeNode node_of(const UnpackedEntry& unpacked, const UnpackedPackage& package,
                 const std::string& name) {
  const TarEntry& entry = unpacked.entry;
  TreeNode node;
  node.type = entry.type;
  node.mode = entry.type == EntryType::kSymlink ? 0777 : entry.mode;
  node.uid = entry.uid;
  node.gid = entry.gid;
  node.link = entry.link;
  node.origin = cat("package ", name);
  node.size = entry.size;
  node.spool = package.spool;
  node.offset = unpacked.offset;
  return node;
}

// Whether `replaces` (a Replaces field) names the package that `origin` stands for.
bool replaces_origin(const std::string& replaces, const std::string& origin) {
  const auto groups = parse_dependencies(replaces, "");
  if (!groups.ok()) return false;
  return std::any_of(groups->begin(), groups->end(), [&](const DependencyGroup& group) {
    return origin == cat("package ", group[0].name);
  });
}

Status add_files(const UnpackedPackage& package, const std::string& name, Tree& tree,
                 std::map<std::string, std::string>& replaced_by, int64_t& newest) {
  for (const UnpackedEntry& unpacked : package.entries) {
    newest = std::max(newest, unpacked.entry.mtime);
    const std::string& path = unpacked.entry.path;
    Status status = tree.add(path, node_of(unpacked, package, name));
    if (status.code() == absl::StatusCode::kAlreadyExists) {
      const TreeNode* other = tree.find(path);
      const std::string other_origin = other == nullptr ? "" : other->origin;
      const auto owner = replaced_by.find(other_origin);
      if (replaces_origin(package.replaces, other_origin)) {
        status = tree.add(path, node_of(unpacked, package, name), true);
      } else if (owner != replaced_by.end() &&
                 replaces_origin(owner->second, cat("package ", name))) {
        status = Status();  // the other one stays
      }
    }
    TENON_RETURN_IF_ERROR(status);
  }
  replaced_by[cat("package ", name)] = package.replaces;
  return {};
}

// dpkg's status stanza: the control fields with Status after Package.
std::string status_stanza(std::string_view control) {
  const size_t end = control.find('\n');
  std::string stanza(control.substr(0, end + 1));
  stanza += "Status: install ok installed\n";
  if (end != std::string_view::npos) stanza += control.substr(end + 1);
  while (stanza.ends_with('\n')) stanza.pop_back();
  return stanza + "\n\n";
}

}  // namespace

StatusOr<int64_t> add_packages(const std::vector<LockedPackage>& packages, const Store& store,
                               const UnpackOptions& options, Tree& tree, std::string& below) {
  TENON_ASSIGN_OR_RETURN(const auto unpacked, unpack_all(packages, store, options));
  int64_t newest = 0;
  std::map<std::string, std::string> replaced_by;
  for (size_t i = 0; i < packages.size(); ++i) {
    const std::string& name = packages[i].name;
    TENON_RETURN_IF_ERROR(add_files(unpacked[i], name, tree, replaced_by, newest));
    const std::string base = cat("var/lib/dpkg/status.d/", name);
    TENON_RETURN_IF_ERROR(tree.add_text(base, unpacked[i].control));
    if (!unpacked[i].md5sums.empty()) {
      TENON_RETURN_IF_ERROR(tree.add_text(cat(base, ".md5sums"), unpacked[i].md5sums));
    }
    below += status_stanza(unpacked[i].control);
  }
  if (!packages.empty()) {
    TENON_RETURN_IF_ERROR(tree.add_text("var/lib/dpkg/status", below));
    TENON_RETURN_IF_ERROR(tree.add_folder("var/lib/dpkg/info"));
  }
  return newest;
}

}  // namespace tenon::image
