#include "tenon/serving/grpc/health.h"

#include "tenon/base/wire.h"

namespace tenon::serving {
namespace {

// HealthCheckResponse.ServingStatus.
enum class Health : uint64_t { kServing = 1, kNotServing = 2, kServiceUnknown = 3 };

class HealthService {
 public:
  HealthService(std::vector<std::string> services, const std::atomic<bool>& draining)
      : services_(std::move(services)), draining_(draining) {
    services_.emplace_back();
  }

  // Of the service that a HealthCheckRequest names.
  StatusOr<Health> health(std::string_view request) const {
    WireReader reader(request);
    WireField field;
    std::string_view name;
    while (reader.next(field)) {
      if (field.is_bytes(1)) name = field.bytes;
    }
    if (reader.malformed()) return internal("malformed HealthCheckRequest message");
    if (std::find(services_.begin(), services_.end(), name) == services_.end()) {
      return Health::kServiceUnknown;
    }
    return draining_ ? Health::kNotServing : Health::kServing;
  }

  Status check(std::string_view request, std::string* response) const {
    TENON_ASSIGN_OR_RETURN(const Health found, health(request));
    if (found == Health::kServiceUnknown) return not_found("service name unknown");
    append_varint_field(*response, 1, static_cast<uint64_t>(found));
    return absl::OkStatus();
  }

 private:
  std::vector<std::string> services_;
  const std::atomic<bool>& draining_;
};

class HealthWatch final : public GrpcStream {
 public:
  explicit HealthWatch(std::shared_ptr<const HealthService> service)
      : service_(std::move(service)) {}

  Status receive(std::string_view message, std::vector<std::string>& answers) override {
    TENON_ASSIGN_OR_RETURN(const Health found, service_->health(message));
    answers.push_back(message_of(found));
    known_ = found == Health::kServing;
    return absl::OkStatus();
  }
  bool over_with_input() const override { return false; }
  void drain(std::vector<std::string>& answers) override {
    if (known_) answers.push_back(message_of(Health::kNotServing));
  }

 private:
  static std::string message_of(Health health) {
    std::string message;
    append_varint_field(message, 1, static_cast<uint64_t>(health));
    return message;
  }

  const std::shared_ptr<const HealthService> service_;
  bool known_ = false;
};

}  // namespace

void add_health_service(std::vector<std::string> services, const std::atomic<bool>& draining,
                        GrpcMethods& methods) {
  const auto service = std::make_shared<const HealthService>(std::move(services), draining);
  GrpcMethod check;
  check.path = "/grpc.health.v1.Health/Check";
  check.open = true;
  check.call = [service](std::string_view request, const RunLimits&, std::string* response) {
    return service->check(request, response);
  };
  methods.add(std::move(check));
  GrpcMethod watch;
  watch.path = "/grpc.health.v1.Health/Watch";
  watch.open = true;
  watch.stream = [service] { return std::make_unique<HealthWatch>(service); };
  methods.add(std::move(watch));
}

}  // namespace tenon::serving
