// Signatures of an image, attached to it as OCI 1.1 referrers: manifests whose `subject` is the
// image. One signing makes
// - a DSSE envelope (in-toto's) over the provenance statement (provenance.h);
// - cosign's signature: a simple-signing payload, the signature in an annotation of its layer;
// - Sigstore bundles (v0.3) of the statement and of cosign's own one, as newer cosign reads them.
// Nothing is sent anywhere and no transparency log is asked.
#pragma once

#include "tenon/image/oci/blobs.h"
#include "tenon/image/oci/reader.h"
#include "tenon/image/trust/keys.h"

namespace tenon::image {

// A DSSE envelope (JSON) of `payload`, signed with a PEM private key.
StatusOr<std::string> sign_envelope(std::string_view payload_type, std::string_view payload,
                                    const std::string& private_key_path);
// The payload, once a signature of the envelope holds for the PEM public key. FAILED_PRECONDITION
// when none does.
StatusOr<std::string> verify_envelope(std::string_view envelope,
                                      const std::string& public_key_path);

struct Attachment {
  std::string artifact_type;  // "application/spdx+json", ...
  std::string content;
  std::string media_type = {};                          // of the content; empty: artifact_type
  std::map<std::string, std::string> annotations = {};  // of the manifest
  std::map<std::string, std::string> layer_annotations = {};  // of the content's descriptor
};

inline constexpr std::string_view kStatementType = "application/vnd.in-toto+json";
inline constexpr std::string_view kEnvelopeType = "application/vnd.dsse.envelope.v1+json";
inline constexpr std::string_view kBundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";
inline constexpr std::string_view kCosignType = "application/vnd.dev.cosign.artifact.sig.v1+json";
inline constexpr std::string_view kSimpleSigningType =
    "application/vnd.dev.cosign.simplesigning.v1+json";
inline constexpr std::string_view kCosignSignature = "dev.cosignproject.cosign/signature";

// Writes the layout or tar at `path` anew with further referrers of `image` in its index; what is
// there stays, an attachment of the same content is not added twice.
Status attach(const std::string& path, const Image& image,
              const std::vector<Attachment>& attachments);

// Contents attached to the image, by artifact type. Digests are checked.
StatusOr<std::vector<Attachment>> attachments_of(const ImageReader& reader, const Image& image);

// Everything that one signing attaches. `identity` is the image's name in cosign's payload
// ("registry.example/team/app"), which its verifiers compare with where the image came from.
StatusOr<std::vector<Attachment>> make_signatures(const Image& image, std::string_view statement,
                                                  const std::string& identity,
                                                  const std::string& private_key_path);

// cosign's part of it alone: for what is no image itself, such as the index of several platforms,
// which is what a tag resolves to. `subject` needs its descriptor and the time of its
// configuration.
StatusOr<std::vector<Attachment>> make_cosign_signatures(const Image& subject,
                                                         const std::string& identity,
                                                         const std::string& private_key_path);

// OK when something that the key has signed is attached and all that it has signed is true of the
// image: provenance statements word by word, cosign's payloads by their digest.
// FAILED_PRECONDITION otherwise.
Status verify_signature(const ImageReader& reader, const Image& image,
                        const std::string& public_key_path);

}  // namespace tenon::image
