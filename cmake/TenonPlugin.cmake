# tenon_add_plugin(<name> <sources>): builds <name>.so, a plug-in over tenon/plugin.h. Links the target
# Tenon::plugin, which names the headers; in the SDK this file stands beside TenonConfig.cmake.
function(tenon_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE Tenon::plugin)
  target_compile_features(${name} PRIVATE cxx_std_20)
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden)
endfunction()
