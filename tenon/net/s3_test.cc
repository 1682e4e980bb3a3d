#include "tenon/net/s3.h"

#include <gtest/gtest.h>

namespace tenon::net {
namespace {

// An answer of the form that Amazon documents for ListObjectsV2.
TEST(S3, ReadsAListing) {
  std::string token;
  const S3Listing listing = parse_s3_listing(
      "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated>"
      "<NextContinuationToken>1/a&amp;b=</NextContinuationToken>"
      "<Contents><Key>m/1/a &lt;b&gt;&#38;.pb</Key><ETag>&quot;x1&quot;</ETag><Size>434234</Size>"
      "</Contents><Contents><Key>m/1/v</Key><ETag>\"y\"</ETag><Size>0</Size></Contents>"
      "<Contents><Key>bad</Key><Size>-3</Size></Contents>"
      "<CommonPrefixes><Prefix>m/2/</Prefix></CommonPrefixes></ListBucketResult>",
      token);
  EXPECT_EQ(token, "1/a&b=");
  ASSERT_EQ(listing.objects.size(), 2U);
  EXPECT_EQ(listing.objects[0].key, "m/1/a <b>&.pb");
  EXPECT_EQ(listing.objects[0].etag, "\"x1\"");
  EXPECT_EQ(listing.objects[0].size, 434234U);
  EXPECT_EQ(listing.objects[1].key, "m/1/v");
  EXPECT_EQ(listing.folders, std::vector<std::string>{"m/2/"});
}

// XML 1.0, section 4.1: references by number, decimal or hexadecimal; what is none stays.
TEST(S3, ReadsCharacterReferences) {
  std::string token;
  const auto key = [&](std::string_view text) {
    const S3Listing listing =
        parse_s3_listing(cat("<Contents><Key>", text, "</Key><Size>1</Size></Contents>"), token);
    return listing.objects.empty() ? "" : listing.objects[0].key;
  };
  EXPECT_EQ(key("&#228;&#xe4;&#x6A21;&#128512;&#xd;&#39;"), "ää模\U0001F600\r'");
  for (const char* none : {"&#;", "&#x;", "&#xd800;", "&#1114112;", "&#-5;", "&#0;", "&nbsp;", "&",
                           "&#99999999999;"}) {
    EXPECT_EQ(key(none), none);
  }
}

TEST(S3, AListingThatIsCutOffOrNoneIsShort) {
  std::string token;
  for (const std::string_view xml :
       {"", "<", "<Contents>", "<Contents><Key>a</Key>", "<Contents></Contents>",
        "<IsTruncated>true</IsTruncated>", "<CommonPrefixes><Prefix>"}) {
    const S3Listing listing = parse_s3_listing(xml, token);
    EXPECT_TRUE(listing.objects.empty() && listing.folders.empty() && token.empty()) << xml;
  }
}

TEST(S3, AUriNamesABucketAndAKey) {
  const auto place = parse_s3_uri("s3://my.bucket/models/digits/");
  ASSERT_TRUE(place.ok());
  EXPECT_EQ(place->bucket, "my.bucket");
  EXPECT_EQ(place->key, "models/digits");
  EXPECT_TRUE(parse_s3_uri("gs://b")->is_google);
  EXPECT_EQ(parse_s3_uri("gs://b")->key, "");
  for (const std::string_view uri : {"s3://", "s3:///m", "s3://b@c/m", "s3://../m", "b/m", ""}) {
    EXPECT_TRUE(absl::IsInvalidArgument(parse_s3_uri(uri).status())) << uri;
  }
}

}  // namespace
}  // namespace tenon::net
