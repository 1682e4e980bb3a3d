#include "tenon/image/debian/archive.h"

#include <algorithm>
#include <array>

#include "tenon/image/archive/compression.h"
#include "tenon/image/net.h"

namespace tenon::image {
namespace {

constexpr uint64_t kReleaseLimit = 16 << 20;

// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (Howard Hinnant,
// "chrono-Compatible Low-Level Date Algorithms").
int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

// The "SHA256:" field: lines of "hex size path".
Status parse_files(std::string_view field, std::map<std::string, Release::File>& files) {
  for (std::string_view line : split(field, '\n')) {
    line = trim(line);
    if (line.empty()) continue;
    const size_t first = line.find(' '), last = line.rfind(' ');
    int64_t size = 0;
    if (first == std::string_view::npos || !is_sha256_hex(line.substr(0, first)) || last <= first ||
        !parse_number(trim(line.substr(first, last - first)), size) || size < 0) {
      return data_loss("malformed SHA256 line '", line, "'");
    }
    files[std::string(line.substr(last + 1))] = {std::string(line.substr(0, first)),
                                                 static_cast<uint64_t>(size)};
  }
  return {};
}

StatusOr<Release> parse_release(std::string_view text) {
  TENON_ASSIGN_OR_RETURN(const Stanza stanza, parse_stanza(text, "Release"));
  Release release;
  release.origin = stanza.get("Origin");
  release.suite = stanza.get("Suite");
  release.codename = stanza.get("Codename");
  TENON_ASSIGN_OR_RETURN(release.date, parse_archive_date(stanza.get("Date")));
  if (stanza.has("Valid-Until")) {
    TENON_ASSIGN_OR_RETURN(release.valid_until, parse_archive_date(stanza.get("Valid-Until")));
  }
  release.by_hash = stanza.get("Acquire-By-Hash") == "yes";
  TENON_RETURN_IF_ERROR(parse_files(stanza.get("SHA256"), release.files));
  return release;
}

StatusOr<std::string> fetch_release(const ArchiveSource& source, const Store& store, bool offline) {
  const std::string url = cat(source.uri, "/dists/", source.suite, "/InRelease");
  const std::string path = store.named_path(url);
  if (offline) {
    if (path_exists(path)) return path;
    return not_found("the store holds no metadata of ", source.uri, " ", source.suite,
                     ", which --offline needs");
  }
  StringSink text;
  TENON_RETURN_IF_ERROR(download(url, text, kReleaseLimit));
  TENON_RETURN_IF_ERROR(create_directories(path.substr(0, path.rfind('/'))));
  TENON_RETURN_IF_ERROR(write_file(path, text.take()));
  return path;
}

// An index file, by its digest where the archive offers that: under its name a mirror or a cache
// may hold it from before or after this release.
Status fetch_index(const FetchedArchive& archive, const std::string& path,
                   const Release::File& file, const std::string& what, const Store& store) {
  const std::string base = cat(archive.source.uri, "/dists/", archive.source.suite, "/");
  if (archive.release.by_hash) {
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    const Status status = store.fetch(cat(base, folder, "by-hash/SHA256/", file.sha256),
                                      file.sha256, file.size, what);
    if (status.ok()) return status;
  }
  return store.fetch(cat(base, path), file.sha256, file.size, what);
}

// The best compressed form of one component's index that the release lists.
Status add_component(const FetchedArchive& archive, const std::string& component,
                     const Store& store, bool offline, PackageIndex& index) {
  const std::string base = cat(component, "/binary-", index.architecture(), "/Packages");
  for (std::string_view suffix : {".xz", ".gz", ""}) {
    const auto file = archive.release.files.find(cat(base, suffix));
    if (file == archive.release.files.end()) continue;
    const std::string what = cat(archive.source.uri, " ", archive.source.suite, " ", file->first);
    if (!offline || !store.has(file->second.sha256)) {
      if (offline) return not_found("the store does not hold ", what, ", which --offline needs");
      TENON_RETURN_IF_ERROR(fetch_index(archive, file->first, file->second, what, store));
    }
    TENON_ASSIGN_OR_RETURN(const std::string path, store.verified_path(file->second.sha256));
    TENON_ASSIGN_OR_RETURN(const auto packed, RandomAccessFile::open(path));
    FileSource raw(*packed);
    TENON_ASSIGN_OR_RETURN(const auto plain, open_compressed(raw, what));
    return index.add(*plain, archive.source.uri, what);
  }
  return not_found(archive.source.uri, " ", archive.source.suite, " has no ", base);
}

}  // namespace

StatusOr<int64_t> parse_archive_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto bad = [&] { return invalid_argument("'", text, "' is not a date of an archive"); };
  const size_t comma = text.find(", ");
  if (comma == std::string_view::npos) return bad();
  const std::string_view rest = trim(text.substr(comma + 2));
  std::vector<std::string_view> words;
  for (std::string_view word : split(rest, ' ')) {
    if (!word.empty()) words.push_back(word);
  }
  if (words.size() != 5 || (words[4] != "UTC" && words[4] != "+0000" && words[4] != "GMT")) {
    return bad();
  }
  const auto month = std::find(kMonths.begin(), kMonths.end(), words[1]);
  const auto clock = split(words[3], ':');
  int64_t day = 0, year = 0, hour = 0, minute = 0, second = 0;
  if (month == kMonths.end() || clock.size() != 3 || !parse_number(words[0], day) ||
      !parse_number(words[2], year) || !parse_number(clock[0], hour) ||
      !parse_number(clock[1], minute) || !parse_number(clock[2], second) || day < 1 || day > 31 ||
      year < 1970 || year > 9999 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 60) {
    return bad();
  }
  return days_from_civil(year, month - kMonths.begin() + 1, day) * 86400 + hour * 3600 +
         minute * 60 + second;
}

StatusOr<Release> verify_release(const std::string& inrelease_path,
                                 const std::vector<std::string>& keyrings, int64_t now,
                                 bool allow_expired) {
  TENON_ASSIGN_OR_RETURN(const TemporaryDirectory folder, TemporaryDirectory::create());
  const std::string content = join_path(folder.path(), "Release");
  std::vector<std::string> command = {"gpgv", "--output", content};
  for (const std::string& keyring : keyrings) {
    if (!path_exists(keyring)) return not_found("there is no keyring ", keyring);
    command.push_back("--keyring");
    command.push_back(keyring);
  }
  command.push_back(inrelease_path);
  TENON_ASSIGN_OR_RETURN(const ProcessResult result, run_process(command));
  if (result.exit_code != 0) {
    return failed_precondition("no signature that the keyrings ", join(keyrings, ", "),
                               " know; gpgv says: ", trim(result.err));
  }
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(content, kReleaseLimit));
  TENON_ASSIGN_OR_RETURN(Release release, parse_release(text));
  if (release.valid_until != 0 && release.valid_until < now && !allow_expired) {
    return failed_precondition("the metadata expired ", (now - release.valid_until) / 3600,
                               " hours ago (Valid-Until); fetch it anew, or pass --allow_expired");
  }
  return release;
}

StatusOr<std::vector<FetchedArchive>> load_archives(const std::vector<ArchiveSource>& sources,
                                                    const Store& store,
                                                    const ArchiveOptions& options,
                                                    PackageIndex& index) {
  std::vector<FetchedArchive> archives;
  for (const ArchiveSource& source : sources) {
    const std::string what = cat(source.uri, " ", source.suite);
    TENON_ASSIGN_OR_RETURN(const std::string path, fetch_release(source, store, options.offline));
    auto release = verify_release(path, source.keyrings, options.now, options.allow_expired);
    if (!release.ok()) return with_context(release.status(), what);
    if (release->codename != source.suite && release->suite != source.suite) {
      return failed_precondition(what, ": its metadata is for '", release->codename, "'");
    }
    TENON_ASSIGN_OR_RETURN(std::string release_sha256, sha256_of_file(path));
    archives.push_back({source, *std::move(release), std::move(release_sha256)});
    for (const std::string& component : source.components) {
      TENON_RETURN_IF_ERROR(
          add_component(archives.back(), component, store, options.offline, index));
    }
  }
  return archives;
}

}  // namespace tenon::image
