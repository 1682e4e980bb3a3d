#include "tenon/serving/grpc/reflection.h"

#include <map>
#include <set>

#include "tenon/base/wire.h"

namespace tenon::serving {
namespace {

// The files of a FileDescriptorSet by name and by the symbols that they define.
class Descriptors {
 public:
  explicit Descriptors(std::string_view set) {
    WireReader reader(set);
    WireField field;
    while (reader.next(field)) {
      if (field.is_bytes(1)) add_file(field.bytes);
    }
  }

  // The file, and before it all that it imports. Empty when there is none of that name.
  std::vector<std::string_view> file(std::string_view name) const {
    std::vector<std::string_view> files;
    std::set<std::string_view> seen;
    append(name, seen, files);
    return files;
  }
  std::vector<std::string_view> file_of_symbol(std::string_view symbol) const {
    const auto found = symbols_.find(symbol);
    return found == symbols_.end() ? std::vector<std::string_view>() : file(found->second);
  }
  bool knows(std::string_view symbol) const { return symbols_.find(symbol) != symbols_.end(); }

 private:
  struct File {
    std::string_view bytes;
    std::vector<std::string_view> imports;
  };

  void add_file(std::string_view bytes) {
    File file{bytes, {}};
    std::string_view name;
    std::string package;
    WireReader reader(bytes);
    WireField field;
    while (reader.next(field)) {
      if (field.is_bytes(1)) name = field.bytes;
      if (field.is_bytes(2)) package = field.bytes;
      if (field.is_bytes(3)) file.imports.push_back(field.bytes);
    }
    // Messages, enumerations and services.
    WireReader again(bytes);
    while (again.next(field)) {
      if (field.is_bytes(4)) add_message(field.bytes, package, name);
      if (field.is_bytes(5)) add_named(field.bytes, package, name);
      if (field.is_bytes(6)) add_service(field.bytes, package, name);
    }
    files_.emplace(name, std::move(file));
  }

  // Returns its full name.
  std::string add_named(std::string_view bytes, const std::string& scope, std::string_view file) {
    WireReader reader(bytes);
    WireField field;
    std::string full = scope;
    while (reader.next(field)) {
      if (field.is_bytes(1))
        full = scope.empty() ? std::string(field.bytes) : cat(scope, ".", field.bytes);
    }
    symbols_.emplace(full, file);
    return full;
  }
  // The descriptors are ours: they nest as deep as our .proto files do.
  void add_message(std::string_view bytes, const std::string& scope, std::string_view file) {
    const std::string full = add_named(bytes, scope, file);
    WireReader reader(bytes);
    WireField field;
    while (reader.next(field)) {
      if (field.is_bytes(2)) add_named(field.bytes, full, file);    // a field
      if (field.is_bytes(3)) add_message(field.bytes, full, file);  // a nested message
      if (field.is_bytes(4)) add_named(field.bytes, full, file);    // an enumeration
    }
  }
  void add_service(std::string_view bytes, const std::string& scope, std::string_view file) {
    const std::string full = add_named(bytes, scope, file);
    WireReader reader(bytes);
    WireField field;
    while (reader.next(field)) {
      if (field.is_bytes(2)) add_named(field.bytes, full, file);  // a method
    }
  }

  void append(std::string_view name, std::set<std::string_view>& seen,
              std::vector<std::string_view>& files) const {
    const auto found = files_.find(name);
    if (found == files_.end() || !seen.insert(found->first).second) return;
    files.push_back(found->second.bytes);
    for (const std::string_view import : found->second.imports) append(import, seen, files);
  }

  std::map<std::string_view, File> files_;
  std::map<std::string, std::string_view, std::less<>> symbols_;  // to the name of their file
};

constexpr uint64_t kNotFound = 5, kInvalidArgument = 3;

class ReflectionStream final : public GrpcStream {
 public:
  ReflectionStream(const std::vector<std::string>& services, const Descriptors& descriptors)
      : services_(services), descriptors_(descriptors) {}

  Status receive(std::string_view message, std::vector<std::string>& answers) override {
    WireReader reader(message);
    WireField field, asked;
    std::string_view host;
    while (reader.next(field)) {
      if (field.is_bytes(1)) host = field.bytes;
      if (field.type == WireType::kBytes && field.number >= 3 && field.number <= 7) asked = field;
    }
    if (reader.malformed()) return internal("malformed ServerReflectionRequest message");
    std::string& answer = answers.emplace_back();
    append_string_field(answer, 1, host);
    append_bytes_field(answer, 2, message);
    append_answer(asked, answer);
    return absl::OkStatus();
  }

 private:
  void append_answer(const WireField& asked, std::string& answer) const {
    switch (asked.number) {
      case 3:
        return append_files(descriptors_.file(asked.bytes), "File not found.", answer);
      case 4:
        return append_files(descriptors_.file_of_symbol(asked.bytes), "Symbol not found.", answer);
      case 5:
        return append_error(kNotFound, "Extension not found.", answer);
      case 6:  // there are no extensions
        if (!descriptors_.knows(asked.bytes))
          return append_error(kNotFound, "Type not found.", answer);
        return append_message(answer, 5, [&] { append_string_field(answer, 1, asked.bytes); });
      case 7:
        return append_message(answer, 6, [&] {
          for (const std::string& service : services_) {
            append_message(answer, 1, [&] { append_string_field(answer, 1, service); });
          }
        });
      default:
        return append_error(kInvalidArgument, "Invalid request.", answer);
    }
  }

  static void append_files(const std::vector<std::string_view>& files, std::string_view otherwise,
                           std::string& answer) {
    if (files.empty()) return append_error(kNotFound, otherwise, answer);
    append_message(answer, 4, [&] {
      for (const std::string_view file : files) append_bytes_field(answer, 1, file);
    });
  }
  static void append_error(uint64_t code, std::string_view text, std::string& answer) {
    append_message(answer, 7, [&] {
      append_varint_field(answer, 1, code);
      append_string_field(answer, 2, text);
    });
  }

  const std::vector<std::string>& services_;
  const Descriptors& descriptors_;
};

// Read when somebody asks for the first time, which most servers never see.
const Descriptors& shared_descriptors() {
  static const Descriptors descriptors(service_descriptors());
  return descriptors;
}

}  // namespace

void add_reflection_service(std::vector<std::string> services, GrpcMethods& methods) {
  const auto shared = std::make_shared<const std::vector<std::string>>(std::move(services));
  for (const std::string_view path :
       {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    GrpcMethod method;
    method.path = path;
    method.stream = [shared] {
      return std::make_unique<ReflectionStream>(*shared, shared_descriptors());
    };
    methods.add(std::move(method));
  }
}

}  // namespace tenon::serving
