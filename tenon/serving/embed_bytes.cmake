# Writes the bytes of INPUT into the C++ source OUTPUT, as the function FUNCTION of HEADER.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${bytes}")
string(REGEX REPLACE "(................................................................)" "\\1\"\n    \"" bytes "${bytes}")
file(SIZE ${INPUT} size)
file(WRITE ${OUTPUT} "#include \"tenon/serving/${HEADER}\"

namespace tenon::serving {

std::string_view ${FUNCTION}() {
  static constexpr char kBytes[] =
    \"${bytes}\";
  return {kBytes, ${size}};
}

}  // namespace tenon::serving
")
