#include "tenon/image/trust/sign.h"

#include <nlohmann/json.hpp>

#include "tenon/image/archive/base64.h"
#include "tenon/image/trust/json.h"
#include "tenon/image/trust/provenance.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::string_view kCosignPayloadType = "cosign container image signature";
constexpr std::string_view kCosignPredicate = "https://sigstore.dev/cosign/sign/v1";

// DSSE's pre-authentication encoding.
std::string pae(std::string_view type, std::string_view payload) {
  return cat("DSSEv1 ", type.size(), " ", type, " ", payload.size(), " ", payload);
}

// Red Hat's simple signing format, as cosign writes it.
std::string simple_signing_payload(std::string_view digest, std::string_view identity) {
  Json json;
  json["critical"] = {{"identity", {{"docker-reference", identity}}},
                      {"image", {{"docker-manifest-digest", digest}}},
                      {"type", kCosignPayloadType}};
  json["optional"] = nullptr;
  return json_dump(json);
}

Status check_simple_signing(std::string_view payload, const Image& image) {
  const Json json = Json::parse(payload, nullptr, false);
  const Json& critical = json_child(json, "critical");
  if (json_text(critical, "type") != kCosignPayloadType) {
    return failed_precondition("a signed payload of cosign's is of another type");
  }
  if (json_text(json_child(critical, "image"), "docker-manifest-digest") !=
      image.descriptor.digest) {
    return failed_precondition("cosign's signature is of another image than ",
                               image.descriptor.digest);
  }
  return {};
}

// The statement that newer cosign signs instead of the payload.
std::string cosign_statement(const Image& image) {
  Json json;
  json["_type"] = "https://in-toto.io/Statement/v1";
  json["subject"] = Json::array({{{"digest", {{"sha256", image.descriptor.digest.substr(7)}}}}});
  json["predicateType"] = kCosignPredicate;
  json["predicate"] = Json::object();
  return json_dump(json);
}

// A Sigstore bundle (v0.3) around an envelope that a key without a certificate has signed. The hint
// is the SHA-256 of the public key.
Attachment sigstore_bundle(const std::string& envelope, std::string_view predicate,
                           const Signature& signature, const Image& image) {
  Json json;
  json["mediaType"] = kBundleType;
  json["verificationMaterial"] = {{"publicKey", {{"hint", to_base64(signature.public_sha256)}}}};
  json["dsseEnvelope"] = Json::parse(envelope, nullptr, false);
  Attachment attachment{std::string(kBundleType), json_dump(json)};
  attachment.annotations = {{"dev.sigstore.bundle.content", "dsse-envelope"},
                            {"dev.sigstore.bundle.predicateType", std::string(predicate)},
                            {"org.opencontainers.image.created", image.config.created}};
  return attachment;
}

}  // namespace

StatusOr<std::string> sign_envelope(std::string_view payload_type, std::string_view payload,
                                    const std::string& private_key_path) {
  TENON_ASSIGN_OR_RETURN(const Signature signature,
                         sign_message(pae(payload_type, payload), private_key_path));
  Json json;
  json["payloadType"] = payload_type;
  json["payload"] = to_base64(payload);
  // No name for the key: cosign passes over a signature whose key has another name than the one it
  // makes itself, OpenSSH's fingerprint.
  json["signatures"] = Json::array({{{"keyid", ""}, {"sig", to_base64(signature.bytes)}}});
  return json_dump(json);
}

StatusOr<std::string> verify_envelope(std::string_view envelope,
                                      const std::string& public_key_path) {
  const Json json = Json::parse(envelope, nullptr, false);
  if (!json.is_object()) return data_loss("a signature envelope is not JSON");
  TENON_ASSIGN_OR_RETURN(std::string payload, from_base64(json_text(json, "payload")));
  const std::string message = pae(json_text(json, "payloadType"), payload);
  for (const Json& entry : json_child(json, "signatures")) {
    TENON_ASSIGN_OR_RETURN(const std::string signature, from_base64(json_text(entry, "sig")));
    TENON_ASSIGN_OR_RETURN(const bool holds, verify_message(message, signature, public_key_path));
    if (holds) return payload;
  }
  return failed_precondition("no signature of the envelope holds for the key ", public_key_path);
}

StatusOr<std::vector<Attachment>> make_cosign_signatures(const Image& subject,
                                                         const std::string& identity,
                                                         const std::string& private_key_path) {
  const std::string payload = simple_signing_payload(subject.descriptor.digest, identity);
  TENON_ASSIGN_OR_RETURN(const Signature signature, sign_message(payload, private_key_path));
  Attachment cosign{std::string(kCosignType), payload, std::string(kSimpleSigningType)};
  cosign.layer_annotations[std::string(kCosignSignature)] = to_base64(signature.bytes);
  TENON_ASSIGN_OR_RETURN(
      const std::string envelope,
      sign_envelope(kStatementType, cosign_statement(subject), private_key_path));
  std::vector<Attachment> result = {std::move(cosign)};
  result.push_back(sigstore_bundle(envelope, kCosignPredicate, signature, subject));
  return result;
}

StatusOr<std::vector<Attachment>> make_signatures(const Image& image, std::string_view statement,
                                                  const std::string& identity,
                                                  const std::string& private_key_path) {
  TENON_ASSIGN_OR_RETURN(auto result, make_cosign_signatures(image, identity, private_key_path));
  TENON_ASSIGN_OR_RETURN(const std::string envelope,
                         sign_envelope(kStatementType, statement, private_key_path));
  TENON_ASSIGN_OR_RETURN(const Signature signature, sign_message(statement, private_key_path));
  result.push_back({std::string(kEnvelopeType), envelope});
  result.push_back(sigstore_bundle(envelope, "https://slsa.dev/provenance/v1", signature, image));
  return result;
}

Status verify_signature(const ImageReader& reader, const Image& image,
                        const std::string& public_key_path) {
  TENON_ASSIGN_OR_RETURN(const auto attachments, attachments_of(reader, image));
  Status last = failed_precondition("'", reader.path(), "' carries no signature of ",
                                    image.descriptor.digest);
  bool holds = false;
  for (const Attachment& attachment : attachments) {
    if (attachment.artifact_type == kEnvelopeType) {
      const auto payload = verify_envelope(attachment.content, public_key_path);
      if (!payload.ok()) {
        last = payload.status();
        continue;
      }
      TENON_ASSIGN_OR_RETURN(const Inventory inventory, take_inventory(reader, image));
      TENON_RETURN_IF_ERROR(check_statement(*payload, image, inventory));
      holds = true;
      continue;
    }
    const auto field = attachment.layer_annotations.find(std::string(kCosignSignature));
    if (field == attachment.layer_annotations.end()) continue;
    const auto signature = from_base64(field->second);
    if (!signature.ok()) {
      last = signature.status();
      continue;
    }
    TENON_ASSIGN_OR_RETURN(const bool valid,
                           verify_message(attachment.content, *signature, public_key_path));
    if (!valid) {
      last = failed_precondition("cosign's signature does not hold for the key ", public_key_path);
      continue;
    }
    TENON_RETURN_IF_ERROR(check_simple_signing(attachment.content, image));
    holds = true;
  }
  return holds ? Status() : last;
}

}  // namespace tenon::image
