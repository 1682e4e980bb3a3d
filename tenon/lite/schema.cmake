# The classes of TensorFlow Lite's schema, by flatc: for the target tenon_lite of either build.
find_program(FLATC flatc REQUIRED)
set(schema ${tenon_BINARY_DIR}/generated/tenon/lite/schema_generated.h)
add_custom_command(OUTPUT ${schema}
  COMMAND ${FLATC} --cpp --gen-object-api -o ${tenon_BINARY_DIR}/generated/tenon/lite ${CMAKE_CURRENT_LIST_DIR}/schema.fbs
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/schema.fbs VERBATIM
  COMMENT "Generating the classes of TensorFlow Lite's schema")
add_custom_target(tenon_lite_schema DEPENDS ${schema})
