// ed25519 signatures and in-toto provenance of an image.
//
// A signature is a DSSE envelope (in-toto's) over a statement that names the image's digest; it and
// the SBOMs are attached to the image as OCI 1.1 referrers: manifests whose `subject` is the image.
#pragma once

#include "tenon/image/oci/blobs.h"
#include "tenon/image/oci/reader.h"

namespace tenon::image {

// PEM files: a PKCS#8 private key (created with mode 0600; never overwritten) and its public key.
Status generate_key(const std::string& private_path, const std::string& public_path);

// A DSSE envelope (JSON) of `payload`, signed with a PEM private key.
StatusOr<std::string> sign_envelope(std::string_view payload_type, std::string_view payload,
                                    const std::string& private_key_path);
// The payload, once a signature of the envelope holds for the PEM public key. FAILED_PRECONDITION
// when none does.
StatusOr<std::string> verify_envelope(std::string_view envelope,
                                      const std::string& public_key_path);

// An in-toto statement with SLSA provenance v1: the image as subject; declaration, lock and
// packages as resolved dependencies. `lock_json` may be empty.
std::string provenance_statement(const Image& image, std::string_view lock_json,
                                 std::string_view builder_version);

struct Attachment {
  std::string artifact_type;  // "application/spdx+json", ...
  std::string content;
};

inline constexpr std::string_view kEnvelopeType = "application/vnd.dsse.envelope.v1+json";

// Writes the layout or tar at `path` anew with further referrers of `image` in its index; what is
// there stays, an attachment of the same content is not added twice.
Status attach(const std::string& path, const Image& image,
              const std::vector<Attachment>& attachments);

// Contents attached to the image, by artifact type. Digests are checked.
StatusOr<std::vector<Attachment>> attachments_of(const ImageReader& reader, const Image& image);

// OK when an attached envelope is signed by the key and its statement names the image's digest.
Status verify_signature(const ImageReader& reader, const Image& image,
                        const std::string& public_key_path);

}  // namespace tenon::image
