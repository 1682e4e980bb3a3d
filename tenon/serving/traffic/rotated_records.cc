#include "tenon/serving/traffic/rotated_records.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "tenon/base/files.h"
#include "tenon/io/record_io.h"

namespace tenon::serving {
namespace {

constexpr std::string_view kRecordsSuffix = ".tfrecord";
constexpr std::string_view kTimeForm = "YYYYmmddTHHMMSS.uuuuuu";

std::string time_name(int64_t microseconds) {
  const time_t seconds = microseconds / 1'000'000;
  std::tm parts = {};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::snprintf(text, sizeof(text), "%04d%02d%02dT%02d%02d%02d.%06d", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(microseconds % 1'000'000));
  return text;
}

int64_t wall_microseconds() {
  timeval now = {};
  ::gettimeofday(&now, nullptr);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_usec;
}

// Not open, or removed by somebody who wants its space: that is free only once it is closed.
bool is_gone(const Descriptor& file) {
  struct stat info = {};
  return file.get() < 0 || (::fstat(file.get(), &info) == 0 && info.st_nlink == 0);
}

}  // namespace

RotatedRecords::RotatedRecords(std::string prefix, const RotationLimits& limits)
    : prefix_(std::move(prefix)), limits_(limits) {}

Status RotatedRecords::append(std::string_view record) {
  std::string framed;
  append_record(framed, record);
  const bool full = size_ > 0 && size_ + framed.size() > limits_.file_bytes;
  if (full || is_gone(file_)) TENON_RETURN_IF_ERROR(open_next());
  const Status status = write(framed);
  if (status.ok()) {
    size_ += framed.size();
  } else if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) {
    file_ = Descriptor();  // what follows goes to a file of its own
  }
  return status;
}

Status RotatedRecords::open_next() {
  const size_t slash = prefix_.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    TENON_RETURN_IF_ERROR(create_directories(prefix_.substr(0, slash)));
  }
  // Another server may write beside this one.
  constexpr int kTries = 1000;
  const int64_t now = wall_microseconds();
  for (int i = 0; i < kTries; ++i) {
    path_ = cat(prefix_, ".", time_name(now + i), kRecordsSuffix);
    Descriptor file(
        ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644));
    if (file.get() < 0 && errno == EEXIST) continue;
    if (file.get() < 0) return errno_status(errno, "open", path_);
    file_ = std::move(file);
    size_ = 0;
    remove_old();
    return absl::OkStatus();
  }
  return unavailable("'", path_, "' and ", kTries, " names before it are taken");
}

Status RotatedRecords::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return errno_status(errno, "write", path_);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// Names sort as their times do.
void RotatedRecords::remove_old() {
  const size_t slash = prefix_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : prefix_.substr(0, slash + 1);
  const std::string stem = cat(prefix_.substr(slash == std::string::npos ? 0 : slash + 1), ".");
  const auto names = list_directory(folder);
  if (!names.ok()) return;
  std::vector<std::string> own;
  for (const std::string& name : *names) {
    const bool same_form = name.size() == stem.size() + kTimeForm.size() + kRecordsSuffix.size();
    if (same_form && name.starts_with(stem) && name.ends_with(kRecordsSuffix)) own.push_back(name);
  }
  for (size_t i = 0; i + static_cast<size_t>(std::max(limits_.files, 1)) < own.size(); ++i) {
    ::unlink(join_path(folder, own[i]).c_str());
  }
}

}  // namespace tenon::serving
