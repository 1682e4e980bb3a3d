#include "tenon/image/trust/sign.h"

#include <nlohmann/json.hpp>

#include "tenon/image/archive/base64.h"
#include "tenon/image/archive/sha256.h"
#include "tenon/image/trust/json.h"
#include "tenon/image/trust/provenance.h"
#include "tenon/image/trust/trust_test.h"

namespace tenon::image {
namespace {

using SignJson = nlohmann::ordered_json;

class SignTest : public TrustTest {
 protected:
  void SetUp() override {
    TrustTest::SetUp();
    ASSERT_EQ(run({"sign", "--new_key", path("k")}), 0) << out_;
    ASSERT_EQ(run({"sign", "--new_key", path("ec"), "--key_type", "ecdsa-p256"}), 0) << out_;
  }
  Image image() {
    reader_ = *ImageReader::open(path("a.tar"));
    return *find_image(*reader_, nullptr);
  }
  // The content of this type that signing has attached, with its annotations.
  Attachment attached(std::string_view type) {
    const Image of = image();
    const auto found = attachments_of(*reader_, of);
    for (const Attachment& one : *found) {
      if (one.artifact_type == type) return one;
    }
    return {};
  }
  // OpenSSL's command line, the other verifier.
  bool openssl_verifies(const std::string& key, std::string_view message,
                        const std::string& signature) {
    EXPECT_TRUE(write_file(path("message"), message).ok());
    EXPECT_TRUE(write_file(path("sig"), signature).ok());
    std::vector<std::string> words = {"openssl",       "pkeyutl",  "-verify",  "-pubin",
                                      "-inkey",        key,        "-rawin",   "-in",
                                      path("message"), "-sigfile", path("sig")};
    if (key.ends_with("ec.pub")) words.insert(words.end(), {"-digest", "sha256"});
    return run_tool(words).ok();
  }
  // Attaches a statement of ours with one change, signed by the right key.
  Status attach_changed(const std::function<void(SignJson&)>& change) {
    const Image of = image();
    const auto inventory = take_inventory(*reader_, of);
    const auto lock = parse_lock(*read_file(path("lock")), "lock");
    SignJson json = SignJson::parse(provenance_statement(of, *inventory, &*lock));
    change(json);
    TENON_ASSIGN_OR_RETURN(const std::string envelope,
                           sign_envelope(kStatementType, json.dump(), path("k")));
    return attach(path("a.tar"), of, {{std::string(kEnvelopeType), envelope}});
  }

  std::unique_ptr<ImageReader> reader_;
};

TEST_F(SignTest, SignaturesHoldForTheirKeyAndImageOnly) {
  ASSERT_EQ(run({"sign", "--new_key", path("k2")}), 0) << out_;
  EXPECT_EQ(run({"sign", "--new_key", path("k")}), 1);  // never overwritten
  EXPECT_EQ(run({"sign", "--new_key", path("k3"), "--key_type", "rsa"}), 2);
  EXPECT_EQ(run({"sign", path("a.tar"), "--new_key", path("k3")}), 2);  // would sign nothing
  EXPECT_FALSE(path_exists(path("k3")));
  for (const char* identity : {"two words", "Upper/case", "a//b", "a:b:c", "../x"}) {
    EXPECT_EQ(run({"sign", path("a.tar"), "--key", path("k"), "--identity", identity}), 2) << out_;
  }
  EXPECT_EQ(run({"verify", path("a.tar"), "--key", path("k.pub")}), 1) << out_;
  for (const char* key : {"k", "ec"}) {
    ASSERT_EQ(run({"sign", path("a.tar"), "--key", path(key), "--lock", path("lock")}), 0) << out_;
    EXPECT_EQ(run({"verify", path("a.tar"), "--key", cat(path(key), ".pub")}), 0) << out_;
  }
  EXPECT_EQ(run({"verify", path("a.tar"), "--key", path("k2.pub")}), 1) << out_;
  EXPECT_EQ(run({"verify", path("a.tar"), "--lock", path("lock")}), 0) << out_;
}

TEST_F(SignTest, OpenSslVerifiesEnvelopesAndPayloads) {
  for (const char* name : {"k", "ec"}) {
    ASSERT_EQ(run({"sign", path("a.tar"), "--key", path(name)}), 0) << out_;
    const std::string key = cat(path(name), ".pub");
    const Image of = image();
    const auto all = attachments_of(*reader_, of);
    size_t verified = 0;
    for (const Attachment& one : *all) {
      const auto field = one.layer_annotations.find(std::string(kCosignSignature));
      if (field != one.layer_annotations.end()) {
        verified += openssl_verifies(key, one.content, *from_base64(field->second));
        continue;
      }
      SignJson envelope = SignJson::parse(one.content);
      if (envelope.contains("dsseEnvelope")) envelope = envelope["dsseEnvelope"];
      const std::string type = envelope["payloadType"], text = envelope["payload"];
      const std::string payload = *from_base64(text);
      const std::string signature = envelope["signatures"][0]["sig"];
      verified += openssl_verifies(
          key, cat("DSSEv1 ", type.size(), " ", type, " ", payload.size(), " ", payload),
          *from_base64(signature));
    }
    EXPECT_EQ(verified, 4U) << name;
  }
}

// What cosign and containers/image require of the simple-signing layer.
TEST_F(SignTest, CosignFindsItsFields) {
  ASSERT_EQ(run({"sign", path("a.tar"), "--key", path("ec"), "--identity", "r.example/team/app"}),
            0)
      << out_;
  const Attachment cosign = attached(kCosignType);
  EXPECT_EQ(cosign.media_type, kSimpleSigningType);
  const SignJson payload = SignJson::parse(cosign.content);
  EXPECT_EQ(payload["critical"]["type"], "cosign container image signature");
  EXPECT_EQ(payload["critical"]["image"]["docker-manifest-digest"], image().descriptor.digest);
  EXPECT_EQ(payload["critical"]["identity"]["docker-reference"], "r.example/team/app");
  EXPECT_TRUE(payload.contains("optional"));
  const Attachment bundle = attached(kBundleType);
  const SignJson json = SignJson::parse(bundle.content);
  EXPECT_EQ(json["mediaType"], kBundleType);
  EXPECT_TRUE(json["verificationMaterial"]["publicKey"]["hint"].is_string());
  EXPECT_EQ(json["dsseEnvelope"]["payloadType"], kStatementType);
  EXPECT_EQ(bundle.annotations.at("dev.sigstore.bundle.content"), "dsse-envelope");
}

// A tag of several platforms resolves to their index: that is what cosign asks for.
TEST_F(SignTest, TheIndexOfSeveralPlatformsIsSignedToo) {
  std::string text = *read_file(path("image.yaml"));
  text += "platforms: [linux/amd64, linux/arm64]\n";
  add({"base-files", "12", "arm64", "", {{"etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"}}});
  add({"libvuln1", "1.0-1", "arm64", "Source: vuln\n", {{"usr/share/vuln", "x"}}});
  ASSERT_TRUE(archive_->publish().ok());
  ASSERT_TRUE(write_file(path("two.yaml"), text).ok());
  ASSERT_EQ(run({"lock", path("two.yaml"), "--output", path("two.lock")}), 0) << out_;
  ASSERT_EQ(run({"build", path("two.yaml"), "--lock", path("two.lock"), "--output", path("two")}),
            0)
      << out_;
  ASSERT_EQ(run({"sign", path("two"), "--key", path("ec"), "--lock", path("two.lock")}), 0) << out_;
  EXPECT_EQ(run({"verify", path("two"), "--key", path("ec.pub")}), 0) << out_;
  const auto reader = *ImageReader::open(path("two"));
  Image top;
  top.descriptor = reader->index().manifests[0];
  ASSERT_TRUE(is_index_type(top.descriptor.media_type));
  const auto found = attachments_of(*reader, top);
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(SignJson::parse((*found)[0].content)["critical"]["image"]["docker-manifest-digest"],
            top.descriptor.digest);
}

TEST_F(SignTest, AnotherImagesLockIsRefused) {
  // The same packages under another declaration, and another package set under the same name.
  const std::string text = *read_file(path("image.yaml"));
  std::string other = text;
  other.replace(other.find("1.2.3"), 5, "1.2.4");
  std::string fewer = text;
  fewer.replace(fewer.find(", libvuln1"), 10, "");
  const size_t before = read_file(path("a.tar"))->size();
  for (const std::string& changed : {other, fewer}) {
    ASSERT_TRUE(write_file(path("other.yaml"), changed).ok());
    ASSERT_EQ(run({"lock", path("other.yaml"), "--output", path("other.lock"), "--update"}), 0)
        << out_;
    EXPECT_EQ(run({"sign", path("a.tar"), "--key", path("k"), "--lock", path("other.lock")}), 1);
    EXPECT_TRUE(out_.starts_with("error: FAILED_PRECONDITION: ")) << out_;
    ASSERT_TRUE(remove_tree(path("other.lock")).ok());
  }
  // A lock whose text is changed has another digest; one with other white space is the same lock.
  std::string lock = *read_file(path("lock"));
  std::string forged = lock;
  forged.replace(forged.find("\"1.0-1\""), 7, "\"1.0-9\"");
  ASSERT_TRUE(write_file(path("forged"), forged).ok());
  EXPECT_EQ(run({"sign", path("a.tar"), "--key", path("k"), "--lock", path("forged")}), 1);
  EXPECT_EQ(read_file(path("a.tar"))->size(), before);
  ASSERT_TRUE(write_file(path("spaced"), SignJson::parse(lock).dump(4)).ok());
  EXPECT_EQ(run({"sign", path("a.tar"), "--key", path("k"), "--lock", path("spaced")}), 0) << out_;
  EXPECT_EQ(run({"verify", path("a.tar"), "--key", path("k.pub")}), 0) << out_;
}

TEST_F(SignTest, EveryWordOfAStatementIsChecked) {
  const struct {
    const char* name;
    std::function<void(SignJson&)> change;
    bool holds = false;
  } kRows[] = {
      {"unchanged", [](SignJson&) {}, true},
      {"another subject",
       [](SignJson& s) { s["subject"][0]["digest"]["sha256"] = std::string(64, 'a'); }},
      {"a second subject",
       [](SignJson& s) {
         s["subject"].push_back({{"digest", {{"sha256", std::string(64, 'a')}}}});
       }},
      {"no subject", [](SignJson& s) { s.erase("subject"); }},
      {"another kind of statement", [](SignJson& s) { s["_type"] = "x"; }},
      {"another predicate", [](SignJson& s) { s["predicateType"] = "x"; }},
      {"another build type",
       [](SignJson& s) { s["predicate"]["buildDefinition"]["buildType"] = "x"; }},
      {"another builder", [](SignJson& s) { s["predicate"]["runDetails"]["builder"]["id"] = "x"; }},
      {"another time",
       [](SignJson& s) {
         s["predicate"]["buildDefinition"]["internalParameters"]["created"] = "2001-01-01";
       }},
      {"another lock",
       [](SignJson& s) {
         s["predicate"]["buildDefinition"]["externalParameters"]["lockSha256"] =
             std::string(64, 'a');
       }},
      {"no lock",
       [](SignJson& s) {
         s["predicate"]["buildDefinition"]["externalParameters"].erase("lockSha256");
       }},
      {"a package less",
       [](SignJson& s) { s["predicate"]["buildDefinition"]["resolvedDependencies"].erase(0); }},
      {"a package twice",
       [](SignJson& s) {
         auto& list = s["predicate"]["buildDefinition"]["resolvedDependencies"];
         list.push_back(SignJson(list[0]));
       }},
      {"a package of another version",
       [](SignJson& s) {
         s["predicate"]["buildDefinition"]["resolvedDependencies"][0]["uri"] =
             "pkg:deb/debian/libvuln1@9?arch=amd64&distro=debian-12";
       }},
      {"a package without digest",
       [](SignJson& s) {
         s["predicate"]["buildDefinition"]["resolvedDependencies"][0].erase("digest");
       }},
  };
  const std::string whole = *read_file(path("a.tar"));
  for (const auto& row : kRows) {
    ASSERT_TRUE(write_file(path("a.tar"), whole).ok());
    const Status done = attach_changed(row.change);
    ASSERT_TRUE(done.ok()) << row.name << ": " << done;
    EXPECT_EQ(run({"verify", path("a.tar"), "--key", path("k.pub")}), row.holds ? 0 : 1)
        << row.name << ": " << out_;
  }
  // A true statement beside it does not help a false one.
  ASSERT_EQ(run({"sign", path("a.tar"), "--key", path("k"), "--lock", path("lock")}), 0) << out_;
  EXPECT_EQ(run({"verify", path("a.tar"), "--key", path("k.pub")}), 1) << out_;
}

TEST_F(SignTest, ACosignSignatureOfAnotherImageIsRefused) {
  Image other = image();
  other.descriptor.digest = cat("sha256:", sha256_hex("other"));
  const auto made = make_signatures(other, "{}", "x", path("k"));
  ASSERT_TRUE(made.ok());
  ASSERT_TRUE(attach(path("a.tar"), image(), {(*made)[0]}).ok());
  EXPECT_EQ(run({"verify", path("a.tar"), "--key", path("k.pub")}), 1);
  EXPECT_NE(out_.find("another image"), std::string::npos) << out_;
}

TEST_F(SignTest, EncryptedAndForeignKeysAreRefusedWithoutAsking) {
  ASSERT_TRUE(run_tool({"openssl", "pkcs8", "-topk8", "-in", path("ec"), "-passout", "pass:x",
                        "-out", path("locked")})
                  .ok());
  ASSERT_TRUE(run_tool({"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                        "ec_paramgen_curve:secp384r1", "-out", path("p384")})
                  .ok());
  for (const char* key : {"locked", "p384", "image.yaml", "k.pub"}) {
    EXPECT_EQ(run({"sign", path("a.tar"), "--key", path(key)}), 1) << key;
    EXPECT_TRUE(out_.starts_with("error: INVALID_ARGUMENT: ")) << out_;
  }
}

}  // namespace
}  // namespace tenon::image
