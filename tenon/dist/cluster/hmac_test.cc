#include "tenon/dist/cluster/hmac.h"

#include <gtest/gtest.h>

#include "tenon/base/hex.h"

namespace tenon::dist {
namespace {

// RFC 4231, test cases 1 to 4, 6 and 7.
TEST(Hmac, GivesTheValuesOfRfc4231) {
  const auto hmac = [](const std::string& key, const std::string& data) {
    return hex_of(hmac_sha256(key, data));
  };
  EXPECT_EQ(hmac(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hmac(std::string(20, '\xaa'), std::string(50, '\xdd')),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  std::string counting;
  for (char c = 1; c <= 25; ++c) counting += c;
  EXPECT_EQ(hmac(counting, std::string(50, '\xcd')),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
  const std::string large(131, '\xaa');
  EXPECT_EQ(hmac(large, "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(hmac(large,
                 "This is a test using a larger than block-size key and a larger than block-size "
                 "data. The key needs to be hashed before being used by the HMAC algorithm."),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

// Texts that end just before, at and just behind the end of a block: those of Python's hmac module.
TEST(Hmac, PadsTextsOfAnyLength) {
  const std::pair<size_t, const char*> cases[] = {
      {0, "5d5d139563c95b5967b9bd9a8c9b233a9dedb45072794cd232dc1b74832607d0"},
      {55, "8c651b04682b91cd68fbf9ac58caf787ffc03284547515d401f5e1c5601451b6"},
      {56, "d5cac94b0fd173ce3333b3b300b7f706664336f391dbcd8afa3a141163cdc2f3"},
      {63, "ccdb30c857bc39ebabfd505056b641af471e2fe8959d8c5fd910fa784fe07961"},
      {64, "5c33171380a475dce5d7e2172be298346bb4b8076016e057952de0317e15e370"},
      {119, "09b310a9670e7d985ad85844a90fa9c704bcb70fe6a265ddee2b6e4c460b588a"},
      {120, "fac09481c05c27cc9cf1dc5419e7c67739b737cc51f9bd8ef53c1f1f4af5e6b6"},
      {1000, "706fde700dc046ceba16e164671408fd85d180e00a14945f10cbc4e5d3699db7"},
  };
  for (const auto& [length, expected] : cases) {
    EXPECT_EQ(hex_of(hmac_sha256("key", std::string(length, 'x'))), expected) << length;
  }
}

TEST(Hmac, ProofsAreEqualOrNot) {
  EXPECT_TRUE(equal_proofs("", ""));
  EXPECT_TRUE(equal_proofs("abc", "abc"));
  EXPECT_FALSE(equal_proofs("abc", "abd"));
  EXPECT_FALSE(equal_proofs("abc", "ab"));
}

}  // namespace
}  // namespace tenon::dist
