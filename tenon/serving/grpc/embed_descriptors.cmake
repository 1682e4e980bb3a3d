# Writes the bytes of INPUT into the C++ source OUTPUT, as service_descriptors() (reflection.h).
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${bytes}")
string(REGEX REPLACE "(................................................................)" "\\1\"\n    \"" bytes "${bytes}")
file(SIZE ${INPUT} size)
file(WRITE ${OUTPUT} "#include \"tenon/serving/grpc/reflection.h\"

namespace tenon::serving {

std::string_view service_descriptors() {
  static constexpr char kBytes[] =
    \"${bytes}\";
  return {kBytes, ${size}};
}

}  // namespace tenon::serving
")
