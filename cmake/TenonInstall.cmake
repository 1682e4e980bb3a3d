# What `cmake --install build --prefix DIR` puts in place, by component, and what CPack packs.
#   sdk      what a plug-in needs: three headers, tenon_add_plugin
#   program  bin/tenon
#   library  headers, archives and the targets Tenon::tenon and Tenon::lite (tenon/lite.h)
#   python   (python/CMakeLists.txt) what images with Python take; no part of the packages
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${tenon_BINARY_DIR}/TenonConfigVersion.cmake
                                 VERSION ${PROJECT_VERSION} COMPATIBILITY ExactVersion)
install(FILES ${tenon_SOURCE_DIR}/tenon/plugin.h ${tenon_SOURCE_DIR}/tenon/plugin_op.h
              ${tenon_SOURCE_DIR}/tenon/plugin_values.h
        DESTINATION include/tenon COMPONENT sdk)
install(FILES ${tenon_SOURCE_DIR}/cmake/TenonConfig.cmake ${tenon_SOURCE_DIR}/cmake/TenonPlugin.cmake
              ${tenon_BINARY_DIR}/TenonConfigVersion.cmake
        DESTINATION lib/cmake/Tenon COMPONENT sdk)

install(TARGETS tenon RUNTIME DESTINATION bin COMPONENT program)
install(FILES ${tenon_SOURCE_DIR}/LICENSE DESTINATION share/doc/tenon RENAME copyright COMPONENT program)

set(targets tenon_library tenon_include tenon_lite)
install(FILES ${tenon_SOURCE_DIR}/tenon/lite.h DESTINATION include/tenon COMPONENT library)
foreach(folder ${TENON_LIBRARY_FOLDERS})
  list(APPEND targets tenon_${folder})
  install(DIRECTORY ${tenon_SOURCE_DIR}/tenon/${folder} DESTINATION include/tenon COMPONENT library
          FILES_MATCHING PATTERN "*.h" PATTERN "*_test.h" EXCLUDE PATTERN "testdata" EXCLUDE
          PATTERN "small_status" EXCLUDE)
endforeach()
install(TARGETS ${targets} EXPORT TenonTargets ARCHIVE DESTINATION lib COMPONENT library)
install(EXPORT TenonTargets NAMESPACE Tenon:: DESTINATION lib/cmake/Tenon COMPONENT library)

set(CPACK_PACKAGE_NAME tenon)
set(CPACK_PACKAGE_CONTACT "The Tenon authors <tenon@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Machine learning in TensorFlow's formats: train, export, serve, ship")
set(CPACK_PACKAGE_FILE_NAME tenon-${PROJECT_VERSION}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_STRIP_FILES OFF)
set(CPACK_GENERATOR DEB)
set(CPACK_THREADS 1)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# To link the library, not to run the program.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libabsl-dev, libdouble-conversion-dev, libgif-dev, libhwy-dev, libicu-dev, libjpeg62-turbo-dev, libpng-dev, libre2-dev, libsnappy-dev, zlib1g-dev")
include(CPack)
