# find_package(Tenon): the target Tenon::plugin and the function tenon_add_plugin.
get_filename_component(tenon_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET Tenon::plugin)
  add_library(Tenon::plugin INTERFACE IMPORTED)
  set_target_properties(Tenon::plugin PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${tenon_prefix}/include")
endif()
include("${CMAKE_CURRENT_LIST_DIR}/TenonPlugin.cmake")
