#include "tenon/image/debian/deb.h"

#include <algorithm>
#include <set>

#include "tenon/image/archive/compression.h"
#include "tenon/image/debian/version.h"

namespace tenon::image {
namespace {

constexpr uint64_t kControlLimit = 64 << 20;
constexpr uint64_t kChangelogLimit = 32 << 20;

// Each "CVE-YYYY-NNNN..." in `text`.
void collect_cves(std::string_view text, std::set<std::string>& out) {
  constexpr std::string_view kPrefix = "CVE-";
  for (size_t at = text.find(kPrefix); at != std::string_view::npos;
       at = text.find(kPrefix, at + 1)) {
    size_t end = at + kPrefix.size();
    const auto digits = [&] {
      const size_t begin = end;
      while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
      return end - begin;
    };
    if (digits() != 4 || end >= text.size() || text[end] != '-') continue;
    ++end;
    if (digits() < 4) continue;
    out.insert(std::string(text.substr(at, end - at)));
  }
}

}  // namespace

StatusOr<std::unique_ptr<DebFile>> DebFile::open(const std::string& path, std::string what) {
  std::unique_ptr<DebFile> deb(new DebFile);
  TENON_ASSIGN_OR_RETURN(deb->file_, RandomAccessFile::open(path));
  deb->what_ = std::move(what);
  TENON_RETURN_IF_ERROR(deb->read_table());
  TENON_RETURN_IF_ERROR(deb->read_control());
  return deb;
}

Status DebFile::read_table() {
  char magic[8];
  if (!file_->read(0, magic).ok() || std::string_view(magic, 8) != "!<arch>\n") {
    return data_loss(what_, " is not a Debian package: no ar header");
  }
  uint64_t offset = sizeof(magic);
  for (int members = 0; offset < file_->size(); ++members) {
    char header[60];
    if (members == 16 || !file_->read(offset, header).ok() || header[58] != '`') {
      return data_loss(what_, ": damaged ar header at byte ", offset);
    }
    std::string_view name = trim(std::string_view(header, 16));
    if (name.ends_with('/')) name.remove_suffix(1);
    int64_t size = 0;
    if (!parse_number(trim(std::string_view(header + 48, 10)), size) || size < 0 ||
        static_cast<uint64_t>(size) > file_->size() - offset - sizeof(header)) {
      return data_loss(what_, " is truncated: member '", name, "' at byte ", offset,
                       " goes past the end of the file");
    }
    const Member member{offset + sizeof(header), static_cast<uint64_t>(size)};
    if (name.starts_with("control.tar")) control_member_ = member;
    if (name.starts_with("data.tar")) data_member_ = member;
    offset = member.offset + member.size + (member.size & 1);
  }
  if (control_member_.offset == 0 || data_member_.offset == 0) {
    return data_loss(what_, " is not a Debian package: control.tar or data.tar is missing");
  }
  return {};
}

Status DebFile::read_control() {
  FileSource raw(*file_, control_member_.offset, control_member_.size);
  TENON_ASSIGN_OR_RETURN(const auto source, open_compressed(raw, cat(what_, " control.tar")));
  TarReader reader(*source, cat(what_, " control.tar"), {kControlLimit, kControlLimit, 1000});
  TarEntry entry;
  while (true) {
    TENON_ASSIGN_OR_RETURN(const bool more, reader.next(entry));
    if (!more) break;
    if (entry.type != EntryType::kFile) continue;
    std::string content(static_cast<size_t>(entry.size), '\0');
    for (size_t have = 0; have < content.size();) {
      TENON_ASSIGN_OR_RETURN(const size_t got, reader.read(std::span(content).subspan(have)));
      have += got;
    }
    control_files_[entry.path] = std::move(content);
  }
  const auto control = control_files_.find("control");
  if (control == control_files_.end()) return data_loss(what_, " has no control file");
  TENON_ASSIGN_OR_RETURN(control_, parse_stanza(control->second, cat(what_, " control")));
  return {};
}

Status DebFile::for_each_entry(FunctionRef<Status(const TarEntry&, TarReader&)> visit,
                               TarLimits limits) const {
  FileSource raw(*file_, data_member_.offset, data_member_.size);
  TENON_ASSIGN_OR_RETURN(const auto source, open_compressed(raw, cat(what_, " data.tar")));
  TarReader reader(*source, what_, limits);
  TarEntry entry;
  while (true) {
    TENON_ASSIGN_OR_RETURN(const bool more, reader.next(entry));
    if (!more) return {};
    TENON_RETURN_IF_ERROR(visit(entry, reader));
  }
}

std::map<std::string, std::string> fixes_in_changelog(std::string_view changelog,
                                                      std::string_view after) {
  std::map<std::string, std::string> fixes;
  std::string version;
  for (std::string_view line : split(changelog, '\n')) {
    // "source (version) distribution; urgency=..."
    if (!line.empty() && line[0] != ' ' && line.find("; urgency") != std::string_view::npos) {
      const size_t open = line.find('('), close = line.find(')');
      if (open == std::string_view::npos || close == std::string_view::npos || open > close) {
        continue;
      }
      version = line.substr(open + 1, close - open - 1);
      if (!after.empty() && compare_debian_versions(version, after) <= 0) break;
      continue;
    }
    std::set<std::string> found;
    collect_cves(line, found);
    for (const std::string& cve : found) fixes[cve] = version;
  }
  return fixes;
}

std::vector<std::string> cves_in_changelog(std::string_view changelog, std::string_view after) {
  std::vector<std::string> names;
  for (const auto& [cve, version] : fixes_in_changelog(changelog, after)) names.push_back(cve);
  return names;
}

StatusOr<std::string> changelog_of(const DebFile& deb, std::string_view package) {
  std::string result;
  const std::string prefix = cat("usr/share/doc/", package, "/changelog");
  TENON_RETURN_IF_ERROR(deb.for_each_entry([&](const TarEntry& entry, TarReader& reader) -> Status {
    const bool native = entry.path == cat(prefix, ".gz");
    if (entry.type != EntryType::kFile || (!native && entry.path != cat(prefix, ".Debian.gz")) ||
        (native && !result.empty())) {
      return {};
    }
    std::string packed(static_cast<size_t>(std::min(entry.size, kChangelogLimit)), '\0');
    for (size_t have = 0; have < packed.size();) {
      TENON_ASSIGN_OR_RETURN(const size_t got, reader.read(std::span(packed).subspan(have)));
      have += got;
    }
    StringSource raw(packed);
    const auto source = make_decompressor(Compression::kGzip, raw, entry.path);
    TENON_ASSIGN_OR_RETURN(result, read_all(*source, kChangelogLimit, entry.path));
    return {};
  }));
  return result;
}

}  // namespace tenon::image
