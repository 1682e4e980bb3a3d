// One registry and repository: requests with credentials, uploads, downloads.
#pragma once

#include "tenon/image/net.h"
#include "tenon/image/registry/challenge.h"
#include "tenon/image/registry/credentials.h"
#include "tenon/image/registry/registry.h"

namespace tenon::image {

class RegistryClient {
 public:
  RegistryClient(RegistryReference reference, RegistryOptions options);

  // A request below /v2/REPOSITORY/, or of an absolute URL that named_url() has passed. Answers a
  // 401 by getting a token or sending the stored credentials, once; repeats what failed for reasons
  // that pass. `actions`: "pull" or "pull,push".
  StatusOr<HttpResponse> send(HttpRequest request, std::string_view path, std::string_view actions);

  StatusOr<bool> has_blob(const std::string& digest);
  // Sends a blob; `open(offset)` gives its bytes from there on.
  Status upload(const Descriptor& blob, TransferReport& report,
                const std::function<StatusOr<std::unique_ptr<ByteSource>>(uint64_t offset)>& open);
  // Writes a blob's bytes to `sink`, continued after breaks. The digest is the caller's to check.
  Status fetch_blob(const Descriptor& blob, ByteSink& sink);

  // PUT of a manifest under a tag or digest. `has_subject_support` tells whether the registry
  // processed the subject field.
  Status put_manifest(const std::string& tag_or_digest, std::string_view media_type,
                      std::string_view text, bool* has_subject_support = nullptr);
  struct FetchedManifest {
    std::string media_type, text, digest;
  };
  // NOT_FOUND when there is no such manifest.
  StatusOr<FetchedManifest> get_manifest(const std::string& tag_or_digest);
  // More bytes are known to have to move, or have moved.
  void expect(uint64_t bytes) { progress_.due += bytes; }
  void report_moved(uint64_t bytes);

  // The image's referrers by API or fallback tag; none when there are neither.
  StatusOr<Index> referrers(const std::string& digest);

  const RegistryReference& reference() const { return reference_; }

 private:
  Status authenticate(const std::string& challenge, std::string_view actions);
  // A token of the challenge's realm, for the stored credentials or none.
  Status fetch_token(const Challenge& challenge, const Credentials& credentials,
                     std::string_view actions);
  // Whether the registry's credentials may go to this token server.
  bool is_token_server(const Url& realm) const;
  // What an answer of the registry calls `location`, as an absolute URL that may be followed.
  StatusOr<std::string> named_url(std::string_view location) const;
  StatusOr<std::string> start_upload(const Descriptor& blob, bool& mounted);
  StatusOr<uint64_t> upload_offset(const std::string& location);
  // Where an upload that broke off goes on: at what the registry has of it, or, in a new upload, at
  // the start when it knows nothing of it any more. An empty `location`: it has the blob by now.
  StatusOr<uint64_t> resume_upload(const Descriptor& blob, std::string& location);

  RegistryReference reference_;
  RegistryOptions options_;
  Url base_;                   // of the registry itself
  std::string authorization_;  // header value, once known
  std::optional<Credentials> credentials_;
  TransferProgress progress_;
};

// The error of an answer: the registry's own message and HTTP status.
Status registry_error(std::string_view what, const HttpResponse& response);

}  // namespace tenon::image
