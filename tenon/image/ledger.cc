#include "tenon/image/ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/registry/reference.h"

namespace tenon::image {
namespace {

constexpr uint64_t kLedgerLimit = 64 << 20;

std::string line_of(const LedgerEntry& entry, const std::string& previous) {
  nlohmann::ordered_json json;
  json["sequence"] = entry.sequence;
  json["time"] = entry.time;
  json["tag"] = entry.tag;
  json["digest"] = entry.digest;
  json["previous"] = previous;
  return json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

// "sha256:HEX" or "HEX" as HEX.
StatusOr<std::string> hex_of_head(std::string_view head) {
  if (head.starts_with("sha256:")) head.remove_prefix(7);
  if (!is_sha256_hex(head)) {
    return invalid_argument("the head '", head, "' is not sha256: and 64 hex digits");
  }
  return std::string(head);
}

// The entry that tells where `tag` points: the last of that repository and tag; a bare tag is any
// repository's. Null: none.
const LedgerEntry* find_tag(const Ledger& ledger, const TagName& tag) {
  for (auto entry = ledger.entries.rbegin(); entry != ledger.entries.rend(); ++entry) {
    const auto name = parse_tag_name(entry->tag);
    if (!name.ok() || name->tag != tag.tag) continue;
    if (name->repository == tag.repository || name->repository.empty() || tag.repository.empty()) {
      return &*entry;
    }
  }
  return nullptr;
}

// The ledger's repository when it knows one only.
std::string only_repository(const Ledger& ledger) {
  std::string only;
  for (const LedgerEntry& entry : ledger.entries) {
    const auto name = parse_tag_name(entry.tag);
    if (!name.ok() || name->repository.empty() || name->repository == only) continue;
    if (!only.empty()) return {};
    only = name->repository;
  }
  return only;
}

// "X.Y.Z", with or without a suffix, names one build for good.
bool is_fixed_tag(std::string_view tag) {
  return !tag.starts_with("latest") && std::count(tag.begin(), tag.end(), '.') >= 2;
}

// The ledger's file, locked against other writers until the object goes.
class LockedFile {
 public:
  static StatusOr<std::unique_ptr<LockedFile>> open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return errno_status(errno, "opening", path);
    std::unique_ptr<LockedFile> file(new LockedFile(fd, path));
    while (::flock(fd, LOCK_EX) != 0) {
      if (errno != EINTR) return errno_status(errno, "locking", path);
    }
    return file;
  }
  ~LockedFile() { ::close(fd_); }
  Status append(std::string_view line) {
    const off_t before = ::lseek(fd_, 0, SEEK_END);
    const ssize_t done = ::write(fd_, line.data(), line.size());
    if (done == static_cast<ssize_t>(line.size()) && ::fsync(fd_) == 0) return {};
    const int error = done < 0 ? errno : ENOSPC;
    if (::ftruncate(fd_, before) != 0) return errno_status(errno, "restoring", path_);
    return errno_status(error, "appending to", path_);
  }

 private:
  LockedFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

}  // namespace

std::string Ledger::head() const { return lines.empty() ? std::string(64, '0') : lines.back(); }

StatusOr<Ledger> parse_ledger(std::string_view text, std::string_view what) {
  Ledger ledger;
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const size_t number = ledger.entries.size() + 1;
    const auto broken = [&](std::string_view why) {
      return data_loss("ledger ", what, " line ", number, ": ", why);
    };
    const auto json = nlohmann::json::parse(line, nullptr, false);
    const bool shaped = json.is_object() && json.contains("tag") && json["tag"].is_string() &&
                        json.contains("digest") && json["digest"].is_string() &&
                        json.contains("time") && json["time"].is_number_integer() &&
                        json.contains("sequence") && json["sequence"].is_number_integer() &&
                        json.contains("previous") && json["previous"].is_string();
    if (!shaped) return broken("not an entry");
    LedgerEntry entry{json["sequence"].get<int64_t>(), json["time"].get<int64_t>(),
                      json["tag"].get<std::string>(), json["digest"].get<std::string>()};
    if (entry.sequence != static_cast<int64_t>(number)) return broken("wrong sequence number");
    if (json["previous"].get<std::string>() != ledger.head()) {
      return broken("it does not follow the line before: the ledger was changed");
    }
    if (const auto name = parse_tag_name(entry.tag); !name.ok()) {
      return broken(message_of(name.status()));
    }
    if (const auto hex = hex_of_digest(entry.digest); !hex.ok()) {
      return broken(message_of(hex.status()));
    }
    ledger.lines.push_back(sha256_hex(line));
    ledger.entries.push_back(std::move(entry));
  }
  if (!text.empty() && !text.ends_with('\n')) {
    return data_loss("ledger ", what, " ends within a line");
  }
  return ledger;
}

StatusOr<Ledger> read_ledger(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kLedgerLimit));
  return parse_ledger(text, path);
}

Status check_head(const Ledger& ledger, std::string_view head, std::string_view what) {
  TENON_ASSIGN_OR_RETURN(const std::string hex, hex_of_head(head));
  if (hex == ledger.head()) return {};
  const auto line = std::find(ledger.lines.begin(), ledger.lines.end(), hex);
  if (line != ledger.lines.end() || hex == std::string(64, '0')) {
    const size_t known =
        line == ledger.lines.end() ? 0 : static_cast<size_t>(line - ledger.lines.begin()) + 1;
    return failed_precondition("ledger ", what, " has grown by ", ledger.lines.size() - known,
                               " entries since the head ", hex, " (line ", known, "); its head is ",
                               ledger.head());
  }
  return data_loss("ledger ", what, " does not hold the line with the head ", hex,
                   ": entries were dropped or changed");
}

std::vector<LedgerEntry> current_tags(const Ledger& ledger) {
  std::map<std::string, LedgerEntry> last;
  for (const LedgerEntry& entry : ledger.entries) {
    const auto name = parse_tag_name(entry.tag);
    if (name.ok()) last[to_string(*name)] = entry;
  }
  std::vector<LedgerEntry> result;
  for (auto& [tag, entry] : last) {
    entry.tag = tag;
    result.push_back(std::move(entry));
  }
  return result;
}

Status append_to_ledger(const std::string& path, const std::string& tag, const std::string& digest,
                        int64_t time, std::string_view head) {
  TENON_RETURN_IF_ERROR(hex_of_digest(digest).status());
  TENON_ASSIGN_OR_RETURN(TagName name, parse_tag_name(tag));
  if (!head.empty()) TENON_RETURN_IF_ERROR(hex_of_head(head).status());
  TENON_ASSIGN_OR_RETURN(const auto file, LockedFile::open(path));
  TENON_ASSIGN_OR_RETURN(const Ledger ledger, read_ledger(path));
  if (!head.empty()) TENON_RETURN_IF_ERROR(check_head(ledger, head, path));
  if (name.repository.empty()) name.repository = only_repository(ledger);
  if (const LedgerEntry* last = find_tag(ledger, name); last != nullptr) {
    if (last->digest == digest) return {};
    if (is_fixed_tag(name.tag)) {
      return already_exists("tag '", to_string(name), "' is ", last->digest, " in ", path, " (as '",
                            last->tag, "') and cannot become ", digest,
                            "; give the build a new version");
    }
  }
  const LedgerEntry entry{static_cast<int64_t>(ledger.entries.size()) + 1, time, to_string(name),
                          digest};
  return file->append(line_of(entry, ledger.head()) + "\n");
}

}  // namespace tenon::image
