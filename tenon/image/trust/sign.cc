#include "tenon/image/trust/sign.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/trust/json.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

constexpr uint64_t kKeyLimit = 64 << 10;
constexpr std::string_view kStatementType = "application/vnd.in-toto+json";

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

StatusOr<std::string> unbase64(const std::string& text) {
  std::string out(text.size() / 4 * 3 + 4, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0 || text.size() % 4 != 0) return data_loss("a signature is not base64");
  size_t padding = 0;
  while (padding < 2 && text.size() > padding && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<size_t>(size) - padding);
  return out;
}

// DSSE's pre-authentication encoding.
std::string pae(std::string_view type, std::string_view payload) {
  return cat("DSSEv1 ", type.size(), " ", type, " ", payload.size(), " ", payload);
}

StatusOr<Key> read_key(const std::string& path, bool is_private) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kKeyLimit));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  Key key(is_private ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr)
                     : PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr),
          EVP_PKEY_free);
  if (key == nullptr || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519) {
    return invalid_argument("'", path, "' is no ed25519 ", is_private ? "private" : "public",
                            " key in PEM form");
  }
  return key;
}

StatusOr<std::string> pem_of(EVP_PKEY* key, bool is_private) {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  const int done = is_private ? PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0,
                                                              nullptr, nullptr)
                              : PEM_write_bio_PUBKEY(bio.get(), key);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  if (done != 1 || size <= 0) return internal("OpenSSL did not write the key");
  return std::string(data, static_cast<size_t>(size));
}

Status write_private(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status(errno, "creating the private key", path);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = written ? 0 : errno;
  ::close(fd);
  return written ? Status() : errno_status(error, "writing", path);
}

}  // namespace

Status generate_key(const std::string& private_path, const std::string& public_path) {
  EVP_PKEY* raw = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  const Key key(raw, EVP_PKEY_free);
  if (key == nullptr) return internal("OpenSSL did not make a key");
  TENON_ASSIGN_OR_RETURN(const std::string private_text, pem_of(key.get(), true));
  TENON_ASSIGN_OR_RETURN(const std::string public_text, pem_of(key.get(), false));
  TENON_RETURN_IF_ERROR(write_private(private_path, private_text));
  return write_file(public_path, public_text);
}

StatusOr<std::string> sign_envelope(std::string_view payload_type, std::string_view payload,
                                    const std::string& private_key_path) {
  TENON_ASSIGN_OR_RETURN(const Key key, read_key(private_key_path, true));
  const std::string message = pae(payload_type, payload);
  const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::string signature(64, '\0');
  size_t size = signature.size();
  const bool signed_ok =
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
  if (!signed_ok) return internal("OpenSSL did not sign");
  TENON_ASSIGN_OR_RETURN(const std::string public_text, pem_of(key.get(), false));
  Json json;
  json["payloadType"] = payload_type;
  json["payload"] = base64(payload);
  json["signatures"] =
      Json::array({{{"keyid", sha256_hex(public_text)}, {"sig", base64(signature)}}});
  return json_dump(json);
}

StatusOr<std::string> verify_envelope(std::string_view envelope,
                                      const std::string& public_key_path) {
  TENON_ASSIGN_OR_RETURN(const Key key, read_key(public_key_path, false));
  const Json json = Json::parse(envelope, nullptr, false);
  if (!json.is_object()) return data_loss("a signature envelope is not JSON");
  TENON_ASSIGN_OR_RETURN(const std::string payload, unbase64(json_text(json, "payload")));
  const std::string message = pae(json_text(json, "payloadType"), payload);
  for (const Json& entry : json_child(json, "signatures")) {
    TENON_ASSIGN_OR_RETURN(const std::string signature, unbase64(json_text(entry, "sig")));
    const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
        EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                         signature.size(), reinterpret_cast<const unsigned char*>(message.data()),
                         message.size()) == 1) {
      return payload;
    }
  }
  return failed_precondition("no signature of the envelope holds for the key ", public_key_path);
}

std::string provenance_statement(const Image& image, std::string_view lock_json,
                                 std::string_view builder_version) {
  Json dependencies = Json::array();
  const Json lock = Json::parse(lock_json, nullptr, false);
  for (const Json& platform : json_child(lock, "platforms")) {
    if (json_text(platform, "platform") != to_string(image.config.platform)) continue;
    for (const Json& package : json_child(platform, "packages")) {
      dependencies.push_back({{"name", json_text(package, "name")},
                              {"uri", cat("pkg:deb/debian/", json_text(package, "name"), "@",
                                          json_text(package, "version"),
                                          "?arch=", json_text(package, "architecture"))},
                              {"digest", {{"sha256", json_text(package, "sha256")}}}});
    }
  }
  Json json;
  json["_type"] = "https://in-toto.io/Statement/v1";
  json["subject"] =
      Json::array({{{"name", image.descriptor.annotations.contains(std::string(kRefName))
                                 ? image.descriptor.annotations.at(std::string(kRefName))
                                 : "image"},
                    {"digest", {{"sha256", image.descriptor.digest.substr(7)}}}}});
  json["predicateType"] = "https://slsa.dev/provenance/v1";
  Json& predicate = json["predicate"];
  Json external = Json::object();
  if (!lock_json.empty()) external["lockSha256"] = sha256_hex(lock_json);
  if (lock.is_object()) external["declarationSha256"] = json_text(lock, "declarationSha256");
  predicate["buildDefinition"] = {{"buildType", "urn:tenon:image-build:v1"},
                                  {"externalParameters", external},
                                  {"resolvedDependencies", dependencies}};
  predicate["runDetails"] = {
      {"builder",
       {{"id", "urn:tenon:image"}, {"version", {{"tenon", std::string(builder_version)}}}}},
      {"metadata", {{"finishedOn", image.config.created}}}};
  return json_dump(json);
}

Status verify_signature(const ImageReader& reader, const Image& image,
                        const std::string& public_key_path) {
  TENON_ASSIGN_OR_RETURN(const auto attachments, attachments_of(reader, image));
  Status last = failed_precondition("'", reader.path(), "' carries no signature of ",
                                    image.descriptor.digest);
  for (const Attachment& attachment : attachments) {
    if (attachment.artifact_type != kEnvelopeType) continue;
    const auto payload = verify_envelope(attachment.content, public_key_path);
    if (!payload.ok()) {
      last = payload.status();
      continue;
    }
    const Json statement = Json::parse(*payload, nullptr, false);
    for (const Json& subject : json_child(statement, "subject")) {
      const std::string found = json_text(json_child(subject, "digest"), "sha256");
      if (cat("sha256:", found) == image.descriptor.digest) return {};
    }
    last = failed_precondition("the signature is of another image than ", image.descriptor.digest);
  }
  return last;
}

}  // namespace tenon::image
