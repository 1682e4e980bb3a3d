#include "tenon/image/trust/keys.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "tenon/base/files.h"

namespace tenon::image {
namespace {

constexpr uint64_t kKeyLimit = 64 << 10;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

// An encrypted key is refused; OpenSSL would ask the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

bool is_p256(EVP_PKEY* key) {
  char group[32] = {};
  size_t size = 0;
  return EVP_PKEY_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group, sizeof(group), &size) == 1 &&
         std::string_view(group, size) == "prime256v1";
}

// ed25519 hashes for itself.
const EVP_MD* digest_for(EVP_PKEY* key) {
  return EVP_PKEY_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
}

StatusOr<Key> read_key(const std::string& path, bool is_private) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kKeyLimit));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  Key key(is_private ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)
                     : PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr),
          EVP_PKEY_free);
  const bool known =
      key != nullptr && (EVP_PKEY_id(key.get()) == EVP_PKEY_ED25519 || is_p256(key.get()));
  if (!known) {
    return invalid_argument("'", path, "' is no ed25519 or ECDSA P-256 ",
                            is_private ? "private key in unencrypted" : "public key in",
                            " PEM form");
  }
  return key;
}

StatusOr<std::string> bytes_of(BIO* bio, bool done) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  if (!done || size <= 0) return internal("OpenSSL did not write the key");
  return std::string(data, static_cast<size_t>(size));
}

StatusOr<std::string> private_pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  const bool done =
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1;
  return bytes_of(bio.get(), done);
}

StatusOr<std::string> public_pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  return bytes_of(bio.get(), PEM_write_bio_PUBKEY(bio.get(), key) == 1);
}

StatusOr<std::string> public_der(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  return bytes_of(bio.get(), i2d_PUBKEY_bio(bio.get(), key) == 1);
}

Status write_private(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status(errno, "creating the private key", path);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = written ? 0 : errno;
  ::close(fd);
  return written ? Status() : errno_status(error, "writing", path);
}

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

StatusOr<KeyType> parse_key_type(std::string_view text) {
  if (text == "ed25519") return KeyType::kEd25519;
  if (text == "ecdsa-p256") return KeyType::kEcdsaP256;
  return invalid_argument("key type '", text, "' is neither ed25519 nor ecdsa-p256");
}

Status generate_key(const std::string& private_path, const std::string& public_path, KeyType type) {
  const Key key(type == KeyType::kEd25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                          : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"),
                EVP_PKEY_free);
  if (key == nullptr) return internal("OpenSSL did not make a key");
  TENON_ASSIGN_OR_RETURN(const std::string private_text, private_pem(key.get()));
  TENON_ASSIGN_OR_RETURN(const std::string public_text, public_pem(key.get()));
  TENON_RETURN_IF_ERROR(write_private(private_path, private_text));
  return write_file(public_path, public_text);
}

StatusOr<Signature> sign_message(std::string_view message, const std::string& private_key_path) {
  TENON_ASSIGN_OR_RETURN(const Key key, read_key(private_key_path, true));
  const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  Signature signature;
  signature.bytes.resize(static_cast<size_t>(EVP_PKEY_get_size(key.get())));
  size_t size = signature.bytes.size();
  const bool done =
      EVP_DigestSignInit(context.get(), nullptr, digest_for(key.get()), nullptr, key.get()) == 1 &&
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.bytes.data()), &size,
                     octets(message), message.size()) == 1;
  if (!done) return internal("OpenSSL did not sign");
  signature.bytes.resize(size);
  TENON_ASSIGN_OR_RETURN(const std::string der, public_der(key.get()));
  signature.public_sha256.resize(32);
  if (EVP_Digest(der.data(), der.size(),
                 reinterpret_cast<unsigned char*>(signature.public_sha256.data()), nullptr,
                 EVP_sha256(), nullptr) != 1) {
    return internal("OpenSSL did not hash the key");
  }
  return signature;
}

StatusOr<bool> verify_message(std::string_view message, std::string_view signature,
                              const std::string& public_key_path) {
  TENON_ASSIGN_OR_RETURN(const Key key, read_key(public_key_path, false));
  const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return EVP_DigestVerifyInit(context.get(), nullptr, digest_for(key.get()), nullptr, key.get()) ==
             1 &&
         EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(message),
                          message.size()) == 1;
}

}  // namespace tenon::image
