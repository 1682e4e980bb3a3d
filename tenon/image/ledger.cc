#include "tenon/image/ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>

#include "tenon/image/archive/sha256.h"

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

struct Ledger {
  std::vector<LedgerEntry> entries;
  std::string last_line_sha256;  // of nothing: 64 zeros
};

StatusOr<Ledger> parse_ledger(std::string_view text, const std::string& path) {
  Ledger ledger;
  ledger.last_line_sha256 = std::string(64, '0');
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const size_t number = ledger.entries.size() + 1;
    const auto broken = [&](std::string_view why) {
      return data_loss("ledger ", path, " line ", number, ": ", why);
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
    if (json["previous"].get<std::string>() != ledger.last_line_sha256) {
      return broken("it does not follow the line before: the ledger was changed");
    }
    TENON_RETURN_IF_ERROR(hex_of_digest(entry.digest).status());
    ledger.last_line_sha256 = sha256_hex(line);
    ledger.entries.push_back(std::move(entry));
  }
  if (!text.empty() && !text.ends_with('\n')) {
    return data_loss("ledger ", path, " ends within a line");
  }
  return ledger;
}

// "X.Y.Z", with or without a suffix, names one build for good.
bool is_fixed_tag(std::string_view name) {
  const std::string_view tag = name.substr(name.rfind(':') + 1);
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

StatusOr<std::vector<LedgerEntry>> read_ledger(const std::string& path) {
  if (!path_exists(path)) return std::vector<LedgerEntry>();
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kLedgerLimit));
  TENON_ASSIGN_OR_RETURN(Ledger ledger, parse_ledger(text, path));
  return std::move(ledger.entries);
}

StatusOr<std::vector<LedgerEntry>> current_tags(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const auto entries, read_ledger(path));
  std::map<std::string, LedgerEntry> last;
  for (const LedgerEntry& entry : entries) last[entry.tag] = entry;
  std::vector<LedgerEntry> result;
  for (auto& [tag, entry] : last) result.push_back(std::move(entry));
  return result;
}

Status append_to_ledger(const std::string& path, const std::string& tag, const std::string& digest,
                        int64_t time) {
  TENON_RETURN_IF_ERROR(hex_of_digest(digest).status());
  TENON_ASSIGN_OR_RETURN(const auto file, LockedFile::open(path));
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kLedgerLimit));
  TENON_ASSIGN_OR_RETURN(const Ledger ledger, parse_ledger(text, path));
  const auto last = std::find_if(ledger.entries.rbegin(), ledger.entries.rend(),
                                 [&](const LedgerEntry& entry) { return entry.tag == tag; });
  if (last != ledger.entries.rend()) {
    if (last->digest == digest) return {};
    if (is_fixed_tag(tag)) {
      return already_exists("tag '", tag, "' is ", last->digest, " in ", path,
                            " and cannot become ", digest, "; give the build a new version");
    }
  }
  const LedgerEntry entry{static_cast<int64_t>(ledger.entries.size()) + 1, time, tag, digest};
  return file->append(line_of(entry, ledger.last_line_sha256) + "\n");
}

}  // namespace tenon::image
