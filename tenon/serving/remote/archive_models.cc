#include "tenon/serving/remote/archive_models.h"

#include <unistd.h>

#include <ctime>

#include "tenon/base/log.h"
#include "tenon/base/thread.h"
#include "tenon/net/http.h"
#include "tenon/serving/model_versions.h"

namespace tenon::serving {
namespace {

constexpr uint64_t kMostArchiveBytes = uint64_t{64} << 30;
constexpr int kAskTimeout = 15;  // seconds without progress

// A query may hold what is nobody's business.
std::string shown(const std::string& url) { return url.substr(0, url.find_first_of("?#")); }

// "Tue, 15 Nov 1994 12:45:26 GMT" in seconds since 1970; 1 for what is no such date or before.
int64_t seconds_of(const std::string& date) {
  std::tm parts = {};
  if (::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr) return 1;
  return std::max<int64_t>(::timegm(&parts), 1);
}

bool is_model(const std::string& folder) {
  return path_exists(join_path(folder, "saved_model.pb")) ||
         path_exists(join_path(folder, "saved_model.pbtxt"));
}

// The folder that holds what an archive is about: the one at its top where there is nothing else
// but what macOS adds.
StatusOr<std::string> root_of(const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(std::vector<std::string> children, list_directory(folder));
  std::erase_if(children, [](const std::string& name) {
    return name.starts_with('.') || name == "__MACOSX";
  });
  int64_t number = 0;
  const bool wrapped = children.size() == 1 && !parse_number(children[0], number) &&
                       is_directory(join_path(folder, children[0]));
  return wrapped ? join_path(folder, children[0]) : folder;
}

StatusOr<std::map<int64_t, std::string>> versions_in(const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(const std::vector<std::string> children, list_directory(folder));
  return versions_among(folder, children);
}

// Errors that fetching the same bytes again does not mend.
bool is_final(const Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsDataLoss(status) ||
         absl::IsUnimplemented(status) || absl::IsOutOfRange(status);
}

}  // namespace

ArchiveModels::~ArchiveModels() {
  for (auto& [base_path, archive] : archives_) {
    if (archive.looking.joinable()) archive.looking.join();
  }
}

bool ArchiveModels::is_archive(std::string_view path) {
  return path.starts_with("https://") || path.starts_with("http://");
}

StatusOr<ArchiveModels::Place> ArchiveModels::place_of(const std::string& base_path) {
  constexpr std::string_view kMark = "#sha256=";
  Place place = {base_path, {}};
  const size_t mark = base_path.find(kMark);
  if (mark == std::string::npos) return place;
  place.url = base_path.substr(0, mark);
  place.sha256 = to_lower(base_path.substr(mark + kMark.size()));
  const bool hex = place.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (place.sha256.size() == 64 && hex) return place;
  return invalid_argument("'", shown(place.url), "' ends with '", base_path.substr(mark),
                          "'; expected #sha256= and 64 hexadecimal digits");
}

Status ArchiveModels::check_url(const std::string& base_path) {
  TENON_ASSIGN_OR_RETURN(const Place place, place_of(base_path));
  TENON_ASSIGN_OR_RETURN(const net::Url parsed, net::parse_url(place.url));
  return net::check_named_url(parsed, parsed, true);
}

StatusOr<ArchiveModels::Told> ArchiveModels::ask(const std::string& url) const {
  net::HttpRequest request;
  request.method = "HEAD";
  request.url = url;
  request.timeout = kAskTimeout;
  request.plain_on_loopback_only = true;
  request.cancelled = options_.stopping;
  TENON_ASSIGN_OR_RETURN(net::HttpResponse response, net::send_http(request));
  if (response.status == 404 || response.status == 410) {
    return not_found("it is not there (HTTP ", response.status, ")");
  }
  if (response.status == 429 || response.status >= 500) {
    return unavailable("HTTP ", response.status);
  }
  Told told;
  // Others may still give the archive: a signed URL is often good for GET alone.
  if (response.status < 200 || response.status >= 300) return told;
  const std::string etag = response.headers["etag"], changed = response.headers["last-modified"];
  told.version = seconds_of(changed);
  if (!etag.empty() || !changed.empty()) {
    told.content = cat(etag, "\n", changed, "\n", response.headers["content-length"]);
  }
  return told;
}

Status ArchiveModels::fetch_to(const Place& place, const Told& told, const std::string& partial,
                               const std::string& path) {
  const auto start = Clock::now();
  const std::string archive = join_path(partial, "archive"), tree = join_path(partial, "tree");
  TENON_RETURN_IF_ERROR(create_directories(tree));
  {
    TENON_ASSIGN_OR_RETURN(const auto file, AtomicFile::create(archive));
    net::AtomicFileSink sink(*file);
    TENON_RETURN_IF_ERROR(net::download(place.url, sink, kMostArchiveBytes, options_.stopping));
    TENON_RETURN_IF_ERROR(file->commit());
  }
  // A transfer that was continued may have halves of two archives.
  TENON_ASSIGN_OR_RETURN(const Told after, ask(place.url));
  if (after.content != told.content) return unavailable("it changed while it was fetched");
  TENON_RETURN_IF_ERROR(options_.unpack(archive, place.sha256, tree, *options_.stopping));
  TENON_ASSIGN_OR_RETURN(std::string root, root_of(tree));
  if (is_model(root)) {
    const std::string versions = join_path(partial, "versions");
    TENON_RETURN_IF_ERROR(create_directories(versions));
    TENON_RETURN_IF_ERROR(move_into_place(root, join_path(versions, cat(told.version))));
    root = versions;
  }
  TENON_ASSIGN_OR_RETURN(const auto versions, versions_in(root));
  if (versions.empty()) {
    return invalid_argument("it holds neither a SavedModel nor folders of versions (1, 2, ...)");
  }
  const std::chrono::duration<double> took = Clock::now() - start;
  log_info("Fetched ", shown(place.url), " in ", took.count(), " s to ", path);
  return move_into_place(root, path);
}

// `before`, which may be null, is the copy that this one takes over from.
StatusOr<std::shared_ptr<const RemoteCopy>> ArchiveModels::fetch(const Place& place, Told told,
                                                                 const RemoteCopy* before) {
  if (before != nullptr) {
    TENON_ASSIGN_OR_RETURN(const auto versions, versions_in(before->path()));
    if (versions.contains(told.version)) told.version = versions.rbegin()->first + 1;
  }
  // What cannot be told apart from another content is of no use to a later run.
  const bool stays = folders_.stay() && !told.content.empty();
  const std::string content = cat(place.url, "\n", place.sha256, "\n", told.content);
  TENON_ASSIGN_OR_RETURN(const std::string path, stays ? folders_.path_for(content_name(content))
                                                       : folders_.temporary_path());
  auto copy = std::make_shared<const RemoteCopy>(path, stays ? std::string() : path);
  if (path_exists(path)) return copy;
  const std::string partial = cat(path, ".partial.", ::getpid());
  TENON_RETURN_IF_ERROR(remove_tree(partial));
  const Status status = fetch_to(place, told, partial, path);
  remove_tree(partial).IgnoreError();
  TENON_RETURN_IF_ERROR(status);
  return copy;
}

// On the archive's own thread: asks, and fetches what has changed.
void ArchiveModels::look(const std::string& base_path) {
  Archive known;
  {
    const std::lock_guard lock(mutex_);
    const Archive& archive = archives_[base_path];
    known.content = archive.content;
    known.fetched = archive.fetched;
    known.copy = archive.copy;
  }
  const StatusOr<Place> place = place_of(base_path);
  const StatusOr<Told> told = place.ok() ? ask(place->url) : StatusOr<Told>(place.status());
  const bool settled = known.fetched.ok() || is_final(known.fetched);
  if (told.ok() && (!settled || known.content != told->content)) {
    auto copy = fetch(*place, *told, known.copy.get());
    known.content = told->content;
    known.fetched = copy.status();
    if (copy.ok()) known.copy = *std::move(copy);
  }
  const std::lock_guard lock(mutex_);
  Archive& archive = archives_[base_path];
  archive.asked_at = Clock::now();
  archive.asked = told.status();
  archive.content = known.content;
  archive.fetched = known.fetched;
  std::swap(archive.copy, known.copy);  // the one before goes without the lock
  archive.busy = false;
  looked_.notify_all();
}

StatusOr<std::shared_ptr<const RemoteCopy>> ArchiveModels::current(const std::string& base_path) {
  std::unique_lock lock(mutex_);
  Archive& archive = archives_[base_path];
  const bool first = !archive.looking.joinable();
  if (!archive.busy && (first || Clock::now() >= archive.asked_at + options_.ask_interval)) {
    if (!first) archive.looking.join();  // it has ended
    archive.busy = true;
    if (first) archive.asked = unavailable("it is being fetched");
    StatusOr<std::thread> started = start_thread([this, base_path] { look(base_path); });
    if (!started.ok()) {
      archive.busy = false;
      return started.status();
    }
    archive.looking = *std::move(started);
  }
  if (!options_.in_background) looked_.wait(lock, [&] { return !archive.busy; });
  TENON_RETURN_IF_ERROR(archive.asked);
  TENON_RETURN_IF_ERROR(archive.fetched);
  return archive.copy;
}

StatusOr<std::map<int64_t, std::string>> ArchiveModels::find_versions(const ModelConfig& model) {
  const auto copy = current(model.base_path);
  if (copy.ok()) return versions_in((*copy)->path());
  return not_found("Could not find base path ", shown(model.base_path), " for servable ",
                   model.name, " with error ", message_of(copy.status()));
}

std::shared_ptr<const RemoteCopy> ArchiveModels::copy_of(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  for (const auto& [base_path, archive] : archives_) {
    if (archive.copy && folder.starts_with(cat(archive.copy->path(), "/"))) return archive.copy;
  }
  return nullptr;
}

}  // namespace tenon::serving
