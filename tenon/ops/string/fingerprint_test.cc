#include "tenon/ops/string/fingerprint.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon {
namespace {

// The vector of the SipHash paper, appendix A: key 00..0f, message 00..0e.
TEST(Fingerprint, SipHashGivesTheVectorOfItsPaper) {
  std::string message;
  for (char c = 0; c < 15; ++c) message += c;
  EXPECT_EQ(sip_hash(0x0706050403020100, 0x0f0e0d0c0b0a0908, message), 0xa129ca6149be45e5);
}

// tf.strings.to_hash_bucket_fast(text, 2**62) and tf.strings.to_hash_bucket(text, 2**62) of
// TensorFlow 2.21, for lengths on both sides of every case of the algorithms.
TEST(Fingerprint, IsTensorFlowsAtEveryLength) {
  struct Hashes {
    size_t length;
    uint64_t fast, plain;
  };
  constexpr Hashes kHashes[] = {
      {0, 1936946117179621455u, 105434511174508091u},
      {1, 3694432073954588131u, 2996632905371535868u},
      {3, 2640714258260161385u, 1046625677629754806u},
      {4, 1897425971756105985u, 404301170780174469u},
      {7, 4341691227789030229u, 2960345911509200448u},
      {8, 4533385575889643785u, 3429851175771700306u},
      {16, 1469030743107030717u, 956259514752743408u},
      {17, 2171023947900359592u, 3675176827060214941u},
      {32, 4582052690787775898u, 2239520148825235227u},
      {33, 2004761416539416594u, 3390227189046317651u},
      {64, 2038540033609931770u, 1712493866758787430u},
      {65, 2608948203458330154u, 2317022912831307942u},
      {128, 226390950763841354u, 2533360029371116712u},
      {200, 2725806534515858166u, 1478732168350496234u},
  };
  constexpr uint64_t kBuckets = uint64_t{1} << 62;
  std::string alphabet;
  for (int i = 0; i < 260; ++i) alphabet += static_cast<char>('a' + i % 26);
  for (const Hashes& hashes : kHashes) {
    const std::string text = alphabet.substr(0, hashes.length);
    EXPECT_EQ(farm_fingerprint(text) % kBuckets, hashes.fast) << hashes.length;
    EXPECT_EQ(murmur_hash(text) % kBuckets, hashes.plain) << hashes.length;
  }
}

}  // namespace
}  // namespace tenon
