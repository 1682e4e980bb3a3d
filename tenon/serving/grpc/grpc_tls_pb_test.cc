// TLS, mutual TLS and sockets of the file system, with gRPC's own client: it is the other reader.
#include <google/protobuf/text_format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tenon/base/files.h"
#include "tenon/serving/case_models.h"
#include "tenon/serving/grpc/grpc_server.h"
#include "tensorflow_serving/apis/model_service.grpc.pb.h"
#include "tensorflow_serving/config/ssl_config.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

// A key with its certificate.
struct Identity {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ~Identity() {
    EVP_PKEY_free(key);
    X509_free(certificate);
  }
};

template <class Write>
std::string pem(Write write) {
  BIO* const memory = BIO_new(BIO_s_mem());
  write(memory);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory, &bytes);
  std::string text(bytes, static_cast<size_t>(size));
  BIO_free(memory);
  return text;
}
std::string key_of(const Identity& identity) {
  return pem([&](BIO* out) {
    PEM_write_bio_PrivateKey(out, identity.key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}
std::string certificate_of(const Identity& identity) {
  return pem([&](BIO* out) { PEM_write_bio_X509(out, identity.certificate); });
}

// Names `identity`, vouched for by `issuer`.
void sign(Identity& identity, const char* name, const Identity& issuer, bool authority) {
  X509* const certificate = identity.certificate;
  X509_set_version(certificate, 2);
  static long serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, identity.key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer.certificate));
  const auto extend = [&](int kind, const std::string& value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  };
  extend(NID_basic_constraints, authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (!authority) extend(NID_subject_alt_name, cat("DNS:", name));
  X509_sign(certificate, issuer.key, EVP_sha256());
}

class GrpcTls : public testing::Test {
 protected:
  void SetUp() override {
    models_ = serve_case_models(metrics_);
    ASSERT_NE(models_, nullptr);
    sign(authority_, "authority", authority_, true);
    sign(stranger_, "stranger", stranger_, true);
    sign(server_identity_, "server.test", authority_, false);
    sign(client_identity_, "client.test", authority_, false);
    sign(false_client_, "client.test", stranger_, false);
  }

  Status start(const tfs::SSLConfig& config, const std::string& socket_path = "") {
    GrpcOptions options;
    options.port = 0;
    options.metrics = &metrics_;
    options.socket_path = socket_path;
    google::protobuf::TextFormat::PrintToString(config, &options.ssl_config);
    auto server = GrpcServer::start(*models_, options);
    if (server.ok()) server_ = *std::move(server);
    return server.status();
  }
  tfs::SSLConfig config(bool verify_clients) const {
    tfs::SSLConfig config;
    config.set_server_key(key_of(server_identity_));
    config.set_server_cert(certificate_of(server_identity_));
    config.set_custom_ca(certificate_of(authority_));
    config.set_client_verify(verify_clients);
    return config;
  }
  grpc::StatusCode ask(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                       const std::string& target = "") {
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("server.test");
    const auto channel = grpc::CreateCustomChannel(
        target.empty() ? cat("127.0.0.1:", server_->port()) : target, credentials, arguments);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    tfs::GetModelStatusRequest request;
    request.mutable_model_spec()->set_name("half_plus_two");
    tfs::GetModelStatusResponse response;
    return tfs::ModelService::NewStub(channel)
        ->GetModelStatus(&context, request, &response)
        .error_code();
  }
  std::shared_ptr<grpc::ChannelCredentials> client(const Identity* identity) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = certificate_of(authority_);
    if (identity) {
      options.pem_private_key = key_of(*identity);
      options.pem_cert_chain = certificate_of(*identity);
    }
    return grpc::SslCredentials(options);
  }

  Identity authority_, stranger_, server_identity_, client_identity_, false_client_;
  MetricRegistry metrics_;
  std::unique_ptr<ServedModels> models_;
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(GrpcTls, ServesClientsThatKnowItsAuthority) {
  ASSERT_TRUE(start(config(false)).ok());
  EXPECT_EQ(ask(client(nullptr)), grpc::StatusCode::OK);
  EXPECT_EQ(ask(grpc::InsecureChannelCredentials()), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GrpcTls, AsksClientsWhoTheyAre) {
  ASSERT_TRUE(start(config(true)).ok());
  EXPECT_EQ(ask(client(&client_identity_)), grpc::StatusCode::OK);
  EXPECT_EQ(ask(client(nullptr)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ask(client(&false_client_)), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GrpcTls, AFalseConfigurationIsAClearError) {
  const auto error_of = [&](auto change) {
    tfs::SSLConfig changed = config(true);
    change(changed);
    const Status status = start(changed);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(message_of(status));
  };
  EXPECT_NE(error_of([](tfs::SSLConfig& c) { c.set_server_cert("none"); }).find("certificate"),
            std::string::npos);
  EXPECT_NE(error_of([](tfs::SSLConfig& c) { c.set_server_key("none"); }).find("no PEM key"),
            std::string::npos);
  EXPECT_NE(error_of([&](tfs::SSLConfig& c) {
              c.set_server_key(key_of(client_identity_));
            }).find("not that of its certificate"),
            std::string::npos);
  EXPECT_NE(error_of([](tfs::SSLConfig& c) { c.set_custom_ca("none"); }).find("authorities"),
            std::string::npos);
}

TEST_F(GrpcTls, ASocketOfTheFileSystemNeedsNone) {
  const auto folder = TemporaryDirectory::create();
  const std::string path = join_path(folder->path(), "grpc.sock");
  ASSERT_TRUE(start(config(true), path).ok());
  EXPECT_EQ(ask(grpc::InsecureChannelCredentials(), cat("unix:", path)), grpc::StatusCode::OK);
  server_->stop(1000);
  EXPECT_FALSE(path_exists(path));
  EXPECT_EQ(start(config(true), cat("/", std::string(200, 'x'))).code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tenon::serving
