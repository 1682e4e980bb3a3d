#include "tenon/serving/remote/remote_models.h"

#include <unistd.h>

#include "tenon/base/log.h"
#include "tenon/serving/model_versions.h"

namespace tenon::serving {
namespace {

// A key below the version's, as a path below its folder.
Status check_relative(std::string_view path) {
  for (const std::string_view part : split(path, '/')) {
    if (!part.empty() && part != "." && part != ".." && part.size() < 256 &&
        part.find('\0') == std::string_view::npos) {
      continue;
    }
    return invalid_argument("the key '", path, "' is no path of a file");
  }
  return absl::OkStatus();
}

// The version's content, as far as the listing tells it.
std::string content_of(const net::S3Listing& listing) {
  std::string content;
  for (const net::S3Object& object : listing.objects) {
    content += cat(object.key, "\n", object.size, "\n", object.etag, "\n");
  }
  return content;
}

}  // namespace

StatusOr<std::map<int64_t, std::string>> RemoteModels::find_versions(const ModelConfig& model) {
  const auto now = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    const auto found = found_.find(model.base_path);
    if (found != found_.end() && now < found->second.at + options_.ask_interval) {
      return found->second.versions;
    }
  }
  const auto ask = [&]() -> StatusOr<std::map<int64_t, std::string>> {
    TENON_ASSIGN_OR_RETURN(const net::S3Place place, net::parse_s3_uri(model.base_path));
    TENON_ASSIGN_OR_RETURN(const net::S3Listing listing, client_.list(place, true));
    if (listing.folders.empty() && listing.objects.empty()) {
      return not_found("there is nothing below it");
    }
    std::vector<std::string> children;
    for (std::string_view folder : listing.folders) {
      if (folder.ends_with('/')) folder.remove_suffix(1);
      children.emplace_back(folder.substr(folder.rfind('/') + 1));
    }
    std::string base = model.base_path;
    while (base.ends_with('/')) base.pop_back();
    return versions_among(base, children);
  };
  StatusOr<std::map<int64_t, std::string>> versions = ask();
  if (!versions.ok()) {
    versions = not_found("Could not find base path ", model.base_path, " for servable ", model.name,
                         " with error ", message_of(versions.status()));
  }
  const std::lock_guard lock(mutex_);
  found_.insert_or_assign(model.base_path, Found{now, versions});
  return versions;
}

Status RemoteModels::fetch_all(const net::S3Place& place, const net::S3Listing& listing,
                               const std::string& path) {
  const auto start = Clock::now();
  uint64_t bytes = 0;
  for (const net::S3Object& object : listing.objects) {
    if (object.key.ends_with('/')) continue;  // a folder that somebody made by hand
    const std::string relative = object.key.substr(place.key.size() + 1);
    TENON_RETURN_IF_ERROR(check_relative(relative));
    const std::string target = join_path(path, relative);
    TENON_RETURN_IF_ERROR(create_directories(target.substr(0, target.rfind('/'))));
    TENON_ASSIGN_OR_RETURN(const auto file, AtomicFile::create(target));
    net::AtomicFileSink sink(*file);
    TENON_RETURN_IF_ERROR(client_.get(place, object, sink));
    TENON_RETURN_IF_ERROR(file->commit());
    bytes += object.size;
  }
  const std::chrono::duration<double> took = Clock::now() - start;
  log_info("Fetched ", human_bytes(bytes), " in ", took.count(), " s to ", path);
  return absl::OkStatus();
}

StatusOr<std::shared_ptr<const RemoteCopy>> RemoteModels::fetch(const std::string& uri) {
  TENON_ASSIGN_OR_RETURN(const net::S3Place place, net::parse_s3_uri(uri));
  TENON_ASSIGN_OR_RETURN(const net::S3Listing listing, client_.list(place, false));
  if (listing.objects.empty()) return not_found(uri, " is not there");
  TENON_ASSIGN_OR_RETURN(const std::string folder,
                         folders_.path_for(content_name(content_of(listing))));
  TENON_RETURN_IF_ERROR(create_directories(folder));
  // Loaders know a version by the number that its folder is named.
  auto copy = std::make_shared<const RemoteCopy>(join_path(folder, uri.substr(uri.rfind('/') + 1)),
                                                 folders_.stay() ? std::string() : folder);
  if (path_exists(copy->path())) return copy;
  const std::string partial = cat(copy->path(), ".partial.", ::getpid());
  TENON_RETURN_IF_ERROR(remove_tree(partial));
  Status status = fetch_all(place, listing, partial);
  if (status.ok()) status = move_into_place(partial, copy->path());
  remove_tree(partial).IgnoreError();
  TENON_RETURN_IF_ERROR(with_context(status, uri));
  return copy;
}

uint64_t RemoteModels::fingerprint(const std::string& uri) {
  const auto now = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    const auto known = fingerprints_.find(uri);
    if (known != fingerprints_.end() && now < known->second.at + options_.ask_interval) {
      return known->second.value;
    }
  }
  const auto place = net::parse_s3_uri(uri);
  const auto listing =
      place.ok() ? client_.list(*place, false) : StatusOr<net::S3Listing>(place.status());
  const uint64_t value = listing.ok() ? std::hash<std::string>()(content_of(*listing)) : 0;
  const std::lock_guard lock(mutex_);
  fingerprints_[uri] = {now, value};
  return value;
}

}  // namespace tenon::serving
