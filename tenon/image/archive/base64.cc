#include "tenon/image/archive/base64.h"

#include <openssl/evp.h>

#include <climits>

namespace tenon::image {

std::string to_base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

StatusOr<std::string> from_base64(std::string_view text) {
  if (text.empty()) return std::string();
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=' && text.size() > padding + 1) {
    ++padding;
  }
  // OpenSSL skips white space and takes '=' anywhere; the length bound is its int's.
  const bool plain =
      text.substr(0, text.size() - padding).find_first_not_of(kAlphabet) == std::string_view::npos;
  if (text.size() % 4 != 0 || !plain || text.size() > INT_MAX / 2) {
    return data_loss("a text is not base64");
  }
  std::string out(text.size() / 4 * 3 + 4, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return data_loss("a text is not base64");
  out.resize(static_cast<size_t>(size) - padding);
  return out;
}

}  // namespace tenon::image
